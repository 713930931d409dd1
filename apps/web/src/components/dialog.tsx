import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import '../styles/components/dialog.css';
import { Button, IconButton } from './forms/button.tsx';

/** A modal dialog, open while mounted. Escape and a click on the backdrop close it. */
export function Dialog({
  title,
  children,
  onClose,
}: {
  title: string;
  children: ComponentChildren;
  onClose: () => void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => ref.current!.showModal(), []);
  const onBackdrop: JSX.MouseEventHandler<HTMLDialogElement> = (event) => {
    if (event.target === ref.current) onClose();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it by keyboard
    <dialog ref={ref} class="dialog" aria-labelledby={id} onClose={onClose} onClick={onBackdrop}>
      <div class="dialog-body">
        <header>
          <h2 id={id}>{title}</h2>
          <IconButton label="Close" icon="close" small onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** Confirmation of an action that cannot be undone. `action`: label of its button, such as "Cancel job". */
export function Confirm({
  title,
  action,
  children,
  busy,
  onConfirm,
  onClose,
}: {
  title: string;
  action: string;
  children: ComponentChildren;
  busy?: boolean;
  onConfirm: () => unknown;
  onClose: () => void;
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <footer class="row dialog-actions">
        <Button onClick={onClose}>Back</Button>
        <Button kind="danger" busy={busy ?? false} onClick={onConfirm}>
          {action}
        </Button>
      </footer>
    </Dialog>
  );
}
