import type { ComponentChildren } from 'preact';
import { CodeBlock } from '../code-block.tsx';
import { Dialog } from '../dialog.tsx';
import { Button } from './button.tsx';

/** What the API tells once: it is kept nowhere, and gone when this is closed. */
export const Secret = ({
  title,
  name,
  text,
  children,
  onClose,
}: {
  title: string;
  /** What it is, as in "The key". */
  name: string;
  text: string;
  /** What to do with it. */
  children: ComponentChildren;
  onClose: () => void;
}) => (
  <Dialog title={title} onClose={onClose}>
    <p>
      <strong>This is shown once.</strong> Nobody can look it up later.
    </p>
    <CodeBlock label={name} text={text} />
    {children}
    <footer class="row dialog-actions">
      <Button kind="main" onClick={onClose}>
        I have kept it
      </Button>
    </footer>
  </Dialog>
);
