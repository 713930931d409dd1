import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';
import '../../styles/components/field.css';

interface Frame {
  label: string;
  hint?: ComponentChildren;
  /** What is wrong with the value, and what is valid. */
  error?: string | null | undefined;
  /** Shows the label only to screen readers. */
  hideLabel?: boolean | undefined;
}

function useFieldFrame({ label, hint, error, hideLabel }: Frame) {
  const id = useId();
  const descriptionIds = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  return {
    control: {
      id,
      'aria-invalid': error ? true : undefined,
      'aria-describedby': descriptionIds || undefined,
    },
    wrap: (control: ComponentChildren) => (
      <div class="field" data-invalid={Boolean(error)}>
        <label for={id} class={hideLabel ? 'visually-hidden' : undefined}>
          {label}
        </label>
        {control}
        {hint && (
          <p id={`${id}-hint`} class="small soft">
            {hint}
          </p>
        )}
        {error && (
          <p id={`${id}-error`} class="small field-error" role="alert">
            {error}
          </p>
        )}
      </div>
    ),
  };
}

interface Editable {
  value: string;
  onValue: (value: string) => void;
}

type InputOptions = Pick<
  JSX.InputHTMLAttributes<HTMLInputElement>,
  | 'type'
  | 'placeholder'
  | 'autocomplete'
  | 'autofocus'
  | 'required'
  | 'spellcheck'
  | 'inputMode'
  | 'name'
  | 'maxLength'
  | 'list'
  | 'onFocus'
  | 'onBlur'
  | 'onKeyDown'
>;

export function TextField({
  label,
  hint,
  error,
  hideLabel,
  value,
  onValue,
  ...options
}: Frame & Editable & InputOptions) {
  const { control, wrap } = useFieldFrame({ label, hint, error, hideLabel });
  return wrap(
    <input
      {...control}
      type="text"
      {...options}
      value={value}
      onInput={(event) => onValue(event.currentTarget.value)}
    />,
  );
}

export function TextArea({
  label,
  hint,
  error,
  value,
  onValue,
  rows = 4,
  hideLabel,
  ...options
}: Frame &
  Editable & { rows?: number } & Pick<
    JSX.TextareaHTMLAttributes<HTMLTextAreaElement>,
    'placeholder' | 'maxLength' | 'onKeyDown'
  >) {
  const { control, wrap } = useFieldFrame({ label, hint, error, hideLabel });
  return wrap(
    <textarea
      {...control}
      {...options}
      rows={rows}
      value={value}
      onInput={(event) => onValue(event.currentTarget.value)}
    />,
  );
}

export function Select({
  label,
  hint,
  error,
  hideLabel,
  value,
  onValue,
  options,
}: Frame & Editable & { options: readonly (readonly [value: string, text: string])[] }) {
  const { control, wrap } = useFieldFrame({ label, hint, error, hideLabel });
  return wrap(
    <select {...control} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
      {options.map(([each, text]) => (
        <option key={each} value={each}>
          {text}
        </option>
      ))}
    </select>,
  );
}

export function Checkbox({
  label,
  checked,
  onChecked,
}: {
  label: ComponentChildren;
  checked: boolean;
  onChecked: (checked: boolean) => void;
}) {
  return (
    <label class="checkbox">
      <input type="checkbox" checked={checked} onChange={(event) => onChecked(event.currentTarget.checked)} />
      {label}
    </label>
  );
}

/** Radio buttons for a few options, shown as a segmented control. */
export function Choice<T extends string>({
  label,
  value,
  onValue,
  options,
}: {
  label: string;
  value: T;
  onValue: (value: T) => void;
  options: readonly (readonly [value: T, text: string])[];
}) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend class="visually-hidden">{label}</legend>
      {options.map(([each, text]) => (
        <label key={each}>
          <input
            type="radio"
            class="visually-hidden"
            name={name}
            checked={each === value}
            onChange={() => onValue(each)}
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}
