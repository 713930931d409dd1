import type { ComponentChildren } from 'preact';
import { Dialog } from '../dialog.tsx';
import { Problem } from '../problem.tsx';
import { Button } from './button.tsx';

/** A form over the page. `error` is what no field of it shows. */
export function FormDialog({
  title,
  action,
  busy,
  error,
  children,
  onSubmit,
  onClose,
}: {
  title: string;
  /** What the button does, as in "Invite". */
  action: string;
  busy: boolean;
  error: unknown;
  children: ComponentChildren;
  onSubmit: () => unknown;
  onClose: () => void;
}) {
  const submit = (event: Event) => {
    event.preventDefault();
    if (!busy) onSubmit();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form class="stack" onSubmit={submit} noValidate>
        {children}
        {error != null && <Problem error={error} />}
        <footer class="row dialog-actions">
          <Button onClick={onClose}>Leave it</Button>
          <Button kind="main" type="submit" busy={busy}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
