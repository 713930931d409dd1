import { GraftApiError } from '@graft/client';
import { type QueryKey, useMutation, useQueryClient } from '@tanstack/preact-query';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Dialog, Opened, useClose } from '../dialog.tsx';
import { Problem } from '../problem.tsx';
import { toast, toastError } from '../toast.tsx';
import { Button, type ButtonProps } from './button.tsx';

export interface Action<Input, Result> {
  run: (input: Input) => Promise<Result>;
  /** Keys of the queries that are then refetched, also after an error. */
  invalidates?: readonly QueryKey[];
  /** Keys of the queries of a deleted resource. They are not refetched. */
  removes?: readonly QueryKey[];
  /** Shown as a toast. */
  successMessage?: (result: Result, input: Input) => string;
  onDone?: (result: Result, input: Input) => void;
  onError?: (error: Error) => void;
  /** Errors get no toast, because the caller shows them, as forms do. */
  quiet?: boolean;
}

export function useAction<Input = void, Result = unknown>({
  run,
  invalidates = [],
  removes = [],
  successMessage,
  onDone,
  quiet = false,
  onError = quiet ? () => {} : toastError,
}: Action<Input, Result>) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSuccess: (result, input) => {
      if (successMessage) toast(successMessage(result, input));
      onDone?.(result, input);
      for (const queryKey of removes) cache.removeQueries({ queryKey });
    },
    // Also after an error, such as a conflict, to show the current state.
    onSettled: () => Promise.all(invalidates.map((queryKey) => cache.invalidateQueries({ queryKey }))),
    onError,
  });
}

/** The fields of a form whose values have type T. */
type FieldName<Values, T> = { [Name in keyof Values]: Values[Name] extends T ? Name : never }[keyof Values] &
  string;

/** The values, faults and request of a form. A form in a dialog closes the dialog when it is done, unless `staysOpen`. */
export function useForm<Values extends object, Result>({
  initial,
  check = () => ({}),
  checksTyping = false,
  staysOpen = false,
  onDone,
  ...action
}: {
  initial: Values;
  /** Errors by field that are found before the request. They are shown from the first submission on or, with `checksTyping`, at once. */
  check?: (values: Values) => { [Name in keyof Values]?: string };
  checksTyping?: boolean;
  staysOpen?: boolean;
} & Omit<Action<Values, Result>, 'quiet'>) {
  const [values, setValues] = useState(initial);
  const [isChecked, setIsChecked] = useState(checksTyping);
  const close = useClose();
  const { mutate, error, isPending } = useAction({
    ...action,
    quiet: true,
    onDone: (result, input) => {
      if (!staysOpen) close();
      onDone?.(result, input);
    },
  });
  const faults: Record<string, string | undefined> = check(values);
  const shown = new Set<string>();
  const set = (changes: Partial<Values>) => setValues((before) => ({ ...before, ...changes }));
  /** The error of a field, or of a part of it such as `sources[0].weight`: the form's, or the API's about the parameter of this name. */
  const errorAt = (name: string, param = name): string | null => {
    shown.add(param);
    if (isChecked && faults[name] !== undefined) return faults[name];
    return error instanceof GraftApiError && error.param === param ? error.message : null;
  };
  return {
    values,
    set,
    errorAt,
    error,
    isPending,
    /** Properties of a text field or a selection. */
    field: <Name extends FieldName<Values, string>>(name: Name, param?: string) => ({
      value: values[name] as Values[Name] & string,
      onValue: (value: Values[Name] & string) => set({ [name]: value } as unknown as Partial<Values>),
      error: errorAt(name, param),
    }),
    /** Properties of a checkbox. */
    toggle: (name: FieldName<Values, boolean>) => ({
      checked: values[name] as boolean,
      onChecked: (on: boolean) => set({ [name]: on } as unknown as Partial<Values>),
    }),
    submit: () => {
      setIsChecked(true);
      if (!isPending && Object.keys(faults).length === 0) mutate(values);
    },
    /** An error that none of the fields rendered so far shows. */
    otherError: (): unknown =>
      error instanceof GraftApiError && error.param !== null && shown.has(error.param) ? null : error,
  };
}

export interface FormState {
  submit: () => void;
  isPending: boolean;
  otherError: () => unknown;
}

interface FormProps {
  form: FormState;
  children: ComponentChildren;
  /** Label of the button that submits, unless a `footer` has the buttons. */
  action?: string;
  /** The button stays disabled. */
  disabled?: boolean;
  footer?: ComponentChildren;
}

/** A form. An error that no field shows is below the fields, above the buttons. */
export function Form({ form, children, action, disabled = false, footer }: FormProps) {
  const submit = (event: Event) => {
    event.preventDefault();
    form.submit();
  };
  const error = form.otherError();
  return (
    <form class="stack" onSubmit={submit} noValidate>
      {children}
      {error != null && <Problem error={error} />}
      {action && (
        <div>
          <Button type="submit" busy={form.isPending} disabled={disabled}>
            {action}
          </Button>
        </div>
      )}
      {footer}
    </form>
  );
}

interface DialogProps {
  title: string;
  /** Label of the button that submits or confirms, such as "Invite" or "Cancel job". */
  action: string;
  children: ComponentChildren;
}

export const FormDialog = ({ title, action, form, children }: DialogProps & { form: FormState }) => (
  <Dialog title={title}>
    <Form
      form={form}
      footer={
        <footer class="row dialog-actions">
          <Button onClick={useClose()}>Cancel</Button>
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
export function Confirm<Result>({ title, action, children, onDone, ...change }: ConfirmProps<Result>) {
  const close = useClose();
  const { mutate, isPending, error } = useAction<void, Result>({
    ...change,
    quiet: true,
    onDone: (result) => {
      close();
      onDone?.(result);
    },
  });
  return (
    <Dialog title={title}>
      {children}
      {error && <Problem error={error} />}
      <footer class="row dialog-actions">
        <Button onClick={close}>Back</Button>
        <Button kind="danger" busy={isPending} onClick={() => mutate()}>
          {action}
        </Button>
      </footer>
    </Dialog>
  );
}

export function DialogButton({ dialog, ...button }: ButtonProps & { dialog: ComponentChildren }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <Button {...button} onClick={() => setIsOpen(true)} />
      {isOpen && <Opened onClose={() => setIsOpen(false)}>{dialog}</Opened>}
    </>
  );
}

/** A button for an action that needs a confirmation. `button`: what it looks like; `children`: what the dialog explains. */
export const ConfirmButton = <Result,>({
  button,
  ...confirm
}: ConfirmProps<Result> & { button: ButtonProps }) => (
  <DialogButton {...button} dialog={<Confirm {...confirm} />} />
);
