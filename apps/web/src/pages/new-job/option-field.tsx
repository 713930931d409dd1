import type { Wire } from '@graft/client';
import { Select, TextField } from '../../components/forms/field.tsx';
import { type Draft, type Faults, faultAt, partAt, withValue } from './draft.ts';
import { acceptsNumber, formatValue, listChoices, parseValue, type Schema, valueLabel } from './schema.ts';

export interface Form {
  draft: Draft;
  setDraft: (draft: Draft) => void;
  faults: Faults;
}

export interface PartProps {
  form: Form;
  options: Wire.FineTuningOptions;
  plan: Wire.FineTuningPlan | null;
}

/**
 * A field for an option, generated from its schema. If it is empty, Graft chooses the value, which is shown as the placeholder with
 * the reason below.
 */
export function OptionField({
  form: { draft, setDraft, faults },
  part,
  name,
  label = name,
  schema,
  used,
  reason,
  error,
}: {
  form: Form;
  /** `peft`, `training` or `sweep`, or the path of an object in them. */
  part: string;
  name: string;
  /** Default: the name. */
  label?: string;
  /** Default: the error of its path. */
  error?: string | null;
  schema: Schema;
  /** The value used if the field is empty; undefined: not known yet. */
  used?: unknown;
  reason?: string | undefined;
}) {
  const path = `${part}.${name}`;
  const value = partAt(draft, part)[name];
  const set = (next: unknown) => setDraft(withValue(draft, path, next));
  const fallback = used === undefined ? schema.default : used;
  const hint = (
    <>
      {value === undefined && reason && <span class="new-job-reason">Chosen {reason}. </span>}
      {schema.description}
    </>
  );
  const frame = { label, hint, error: error === undefined ? faultAt(faults, path) : error };
  const choices = listChoices(schema);
  if (choices && (value === undefined || choices.includes(value))) {
    const empty = fallback === undefined ? 'Automatic' : `${valueLabel(fallback)} (default)`;
    return (
      <Select
        {...frame}
        value={value === undefined ? '' : JSON.stringify(value)}
        onValue={(text) => set(text === '' ? undefined : JSON.parse(text))}
        options={[['', empty], ...choices.map((each) => [JSON.stringify(each), valueLabel(each)] as const)]}
      />
    );
  }
  return (
    <TextField
      {...frame}
      {...(acceptsNumber(schema) && { inputMode: 'decimal' as const })}
      spellcheck={false}
      autocomplete="off"
      placeholder={fallback === undefined ? 'Automatic' : fallback === null ? 'none' : formatValue(fallback)}
      value={formatValue(value)}
      onValue={(text) => set(parseInput(text, schema))}
    />
  );
}

/** Parses text, but keeps incomplete numbers and lists as typed: `1e`, `0.`, `1,`. */
function parseInput(text: string, schema: Schema): unknown {
  const value = parseValue(text, schema);
  return value !== undefined && formatValue(value) !== text && /[.,e\s-]$|\.0+$/i.test(text) ? text : value;
}
