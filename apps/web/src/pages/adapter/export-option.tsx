import { Checkbox, Select, TextField } from '../../components/forms/field.tsx';

/** The part of an option's JSON Schema that the form shows. */
export interface OptionSchema {
  type?: string;
  enum?: readonly string[];
  default?: unknown;
  description?: string;
}

interface Props {
  name: string;
  schema: OptionSchema;
  /** Undefined: the default. */
  value: unknown;
  onValue: (value: unknown) => void;
  error: string | null;
}

/** A field for an option of an export format: a selection, a checkbox, or text that is sent as a number where the option is one. */
export function ExportOption({ name, schema, value, onValue, error }: Props) {
  const shown = value ?? schema.default;
  const hint = schema.description ?? null;
  if (schema.enum)
    return (
      <Select
        label={name}
        value={String(shown)}
        onValue={onValue}
        options={schema.enum}
        hint={hint}
        error={error}
      />
    );
  if (schema.type === 'boolean')
    return (
      <Checkbox
        label={
          <>
            {name} <span class="small soft">{hint}</span>
          </>
        }
        checked={shown === true}
        onChecked={onValue}
      />
    );
  const isNumber = schema.type === 'integer' || schema.type === 'number';
  return (
    <TextField
      label={name}
      value={shown === undefined || shown === null ? '' : String(shown)}
      onValue={(text) => onValue(textValue(text, isNumber))}
      hint={hint}
      error={error}
    />
  );
}

/** An empty text is the default. Text that is no number is sent as it is, so that the API names the fault. */
function textValue(text: string, isNumber: boolean): unknown {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  return isNumber && Number.isFinite(Number(trimmed)) ? Number(trimmed) : text;
}
