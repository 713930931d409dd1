import type { Wire } from '@graft/client';
import { Select, TextField } from '../../components/forms/field.tsx';
import { type Draft, type Faults, faultAt, partOf, withValue } from './draft.ts';
import { acceptsNumber, formatValue, listChoices, parseValue, type Schema, valueLabel } from './schema.ts';

export interface Form {
  draft: Draft;
  setDraft: (draft: Draft) => void;
  faults: Faults;
}

/** What every part of the form gets. */
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
  schema,
  used,
  reason,
}: {
  form: Form;
  /** `peft`, `training` or `sweep`. */
  part: string;
  name: string;
  schema: Schema;
  /** The value used if the field is empty; undefined: not known yet. */
  used?: unknown;
  reason?: string | undefined;
}) {
  const path = `${part}.${name}`;
  const value = partOf(draft, part)[name];
  const set = (next: unknown) => setDraft(withValue(draft, path, next));
  const fallback = used === undefined ? schema.default : used;
  const hint = (
    <>
      {value === undefined && reason && <span class="new-job-reason">Chosen {reason}. </span>}
      {schema.description}
    </>
  );
  const frame = { label: name, hint, error: faultAt(faults, path) };
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
