import type { ComponentChildren } from 'preact';
import { Dialog } from '../dialog.tsx';
import { Problem } from '../problem.tsx';
import { Button } from './button.tsx';

/** A form in a dialog. `error`: an error that no field shows. */
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
  /** Label of the submit button, such as "Invite". */
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
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="main" type="submit" busy={busy}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
