import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';

interface Frame<Value = string> {
  label: string;
  hint?: ComponentChildren;
  /** Fault of the value, and what is valid. */
  error?: string | null | undefined;
  /** Shows the label only to screen readers. */
  hideLabel?: boolean | undefined;
  value: Value;
  onValue: (value: Value) => void;
}

/** Separates a field's frame from the properties of its control. */
function useFieldFrame<Props extends Frame>({ label, hint, error, hideLabel, ...options }: Props) {
  const id = useId();
  const descriptionIds = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  return {
    options,
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
        <FieldError id={`${id}-error`} class="small" text={error} />
      </div>
    ),
  };
}

/** An error about a value or a group of them; nothing without a text. */
export const FieldError = ({
  id,
  class: look = '',
  text,
}: {
  id?: string;
  class?: string;
  text: ComponentChildren;
}) =>
  text ? (
    <p id={id} class={`${look} field-error`} role="alert">
      {text}
    </p>
  ) : null;

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

export type TextFieldProps = Frame & InputOptions;

export function TextField(props: TextFieldProps) {
  const { control, wrap, options } = useFieldFrame(props);
  const { onValue, ...rest } = options;
  return wrap(
    <input {...control} type="text" {...rest} onInput={(event) => onValue(event.currentTarget.value)} />,
  );
}

type TextAreaOptions = Pick<
  JSX.TextareaHTMLAttributes<HTMLTextAreaElement>,
  'placeholder' | 'maxLength' | 'onKeyDown' | 'rows' | 'spellcheck' | 'readOnly' | 'disabled'
>;

export function TextArea(props: Frame & TextAreaOptions) {
  const { control, wrap, options } = useFieldFrame(props);
  const { onValue, rows = 4, ...rest } = options;
  return wrap(
    <textarea {...control} {...rest} rows={rows} onInput={(event) => onValue(event.currentTarget.value)} />,
  );
}

/** The labels of values, or a list of values with their labels; a value alone is its own label. */
export type Options<Value extends string> =
  | Readonly<Record<Value, string>>
  | readonly (Value | readonly [value: Value, text: string])[];

const labelled = <Value extends string>(options: Options<Value>): (readonly [Value, string])[] =>
  Array.isArray(options)
    ? options.map((option) => (typeof option === 'string' ? [option, option] : option))
    : (Object.entries(options) as [Value, string][]);

/** A value that is not among the options, such as one from an old URL, is added to them. */
export function Select<Value extends string>(props: Frame<Value> & { options: Options<Value> }) {
  const { control, wrap, options } = useFieldFrame(props as unknown as Frame & { options: Options<Value> });
  const { value } = props;
  const all = labelled(options.options);
  if (value !== '' && !all.some(([each]) => each === value)) all.push([value, value]);
  return wrap(
    <select {...control} value={value} onChange={(event) => options.onValue(event.currentTarget.value)}>
      {all.map(([each, text]) => (
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

/** A checkbox for each option; `value` lists the checked ones. */
export const CheckboxGroup = <Value extends string>({
  label,
  value,
  onValue,
  options,
  error,
  class: look,
}: Frame<Value[]> & { options: Options<Value>; class: string }) => (
  <fieldset class={look}>
    <legend>{label}</legend>
    {labelled(options).map(([each, text]) => (
      <Checkbox
        key={each}
        label={text}
        checked={value.includes(each)}
        onChecked={(on) => onValue(on ? [...value, each] : value.filter((other) => other !== each))}
      />
    ))}
    <FieldError class="small" text={error} />
  </fieldset>
);

/** Radio buttons for a few options, shown as a segmented control. */
export function Choice<Value extends string>({
  label,
  value,
  onValue,
  options,
  error,
}: Frame<Value> & { options: Options<Value> }) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend class="visually-hidden">{label}</legend>
      {labelled(options).map(([each, text]) => (
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
      <FieldError class="small" text={error} />
    </fieldset>
  );
}
