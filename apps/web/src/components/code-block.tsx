import '../styles/components/code-block.css';
import { CopyButton } from './forms/copy-button.tsx';

/** Text to be taken along as it is. */
export const CodeBlock = ({ text, label }: { text: string; label: string }) => (
  <div class="code-block">
    <CopyButton text={text} />
    {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
    <section class="code-text" aria-label={label} tabIndex={0}>
      <pre>{text}</pre>
    </section>
  </div>
);
