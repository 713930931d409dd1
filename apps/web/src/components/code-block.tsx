import { CopyButton } from './forms/copy-button.tsx';

export const CodeBlock = ({ text, label }: { text: string; label: string }) => (
  <div class="code-block">
    <CopyButton text={text} />
    {/* biome-ignore lint/a11y/noNoninteractiveTabindex: scrollable areas must be focusable */}
    <section class="code-text" aria-label={label} tabIndex={0}>
      <pre>{text}</pre>
    </section>
  </div>
);
