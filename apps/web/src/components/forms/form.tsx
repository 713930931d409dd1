import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Dialog } from '../dialog.tsx';
import { Problem } from '../problem.tsx';
import { type Action, useAction } from './action.ts';
import { Button, type ButtonProps } from './button.tsx';

/** The part of `useForm`'s result used here. */
export interface FormState {
  submit: () => void;
  isPending: boolean;
  otherError: () => unknown;
}

/** A form. An error that no field shows is above the buttons, which are in `footer`. */
export function Form({
  form,
  children,
  footer,
}: {
  form: FormState;
  children: ComponentChildren;
  footer: ComponentChildren;
}) {
  const submit = (event: Event) => {
    event.preventDefault();
    form.submit();
  };
  const error = form.otherError();
  return (
    <form class="stack" onSubmit={submit} noValidate>
      {children}
      {error != null && <Problem error={error} />}
      {footer}
    </form>
  );
}

interface DialogProps {
  title: string;
  /** Label of the button that submits or confirms, such as "Invite" or "Cancel job". */
  action: string;
  children: ComponentChildren;
  onClose: () => void;
}

/** A form in a dialog. */
export const FormDialog = ({ title, action, form, children, onClose }: DialogProps & { form: FormState }) => (
  <Dialog title={title} onClose={onClose}>
    <Form
      form={form}
      footer={
        <footer class="row dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="main" type="submit" busy={form.isPending}>
            {action}
          </Button>
        </footer>
      }
    >
      {children}
    </Form>
  </Dialog>
);

type ConfirmProps<Result> = DialogProps & Omit<Action<void, Result>, 'quiet' | 'onError'>;

/** Confirmation of an action that cannot be undone. The dialog closes when it is done, and shows its error. */
export function Confirm<Result>({
  title,
  action,
  children,
  onClose,
  onDone,
  ...change
}: ConfirmProps<Result>) {
  const { mutate, isPending, error } = useAction<void, Result>({
    ...change,
    quiet: true,
    onDone: (result) => {
      onClose();
      onDone?.(result);
    },
  });
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      {error && <Problem error={error} />}
      <footer class="row dialog-actions">
        <Button onClick={onClose}>Back</Button>
        <Button kind="danger" busy={isPending} onClick={() => mutate()}>
          {action}
        </Button>
      </footer>
    </Dialog>
  );
}

/** A button that opens a dialog. */
export function DialogButton({
  dialog,
  ...button
}: ButtonProps & { dialog: (close: () => void) => ComponentChildren }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <Button {...button} onClick={() => setIsOpen(true)} />
      {isOpen && dialog(() => setIsOpen(false))}
    </>
  );
}

/** A button for an action that needs a confirmation. `button`: what it looks like; `children`: what the dialog explains. */
export const ConfirmButton = <Result,>({
  button,
  ...confirm
}: Omit<ConfirmProps<Result>, 'onClose'> & { button: ButtonProps }) => (
  <DialogButton {...button} dialog={(close) => <Confirm {...confirm} onClose={close} />} />
);
