import type { ComponentChildren } from 'preact';
import { CodeBlock } from '../code-block.tsx';
import { Dialog, useClose } from '../dialog.tsx';
import { Button } from './button.tsx';

interface SecretProps {
  title: string;
  /** Accessible name, such as "API key". */
  name: string;
  text: string;
  /** How to use it. */
  children: ComponentChildren;
}

/** A secret that the API returns once. It is not stored, and lost when the dialog is closed. */
export const Secret = ({ title, name, text, children }: SecretProps) => (
  <Dialog title={title}>
    <p>
      <strong>Copy it now.</strong> You will not be able to see it again.
    </p>
    <CodeBlock label={name} text={text} />
    {children}
    <footer class="row dialog-actions">
      <Button kind="main" onClick={useClose()}>
        Done
      </Button>
    </footer>
  </Dialog>
);
