import { Select, TextField } from '../../components/forms/field.tsx';
import { type Draft, type Faults, faultAt, partOf, withValue } from './draft.ts';
import { choicesOf, readText, type Schema, takesNumber, textOf, wordOf } from './schema.ts';

export interface Form {
  draft: Draft;
  setDraft: (draft: Draft) => void;
  faults: Faults;
}

/**
 * A field for an option, made of its schema. Left empty, it is left to Graft: the value that is then taken stands in it, grey, and why
 * below it.
 */
export function OptionField({
  form: { draft, setDraft, faults },
  part,
  name,
  schema,
  taken,
  reason,
}: {
  form: Form;
  /** `peft`, `training` or `sweep`. */
  part: string;
  name: string;
  schema: Schema;
  /** What is taken where the field is empty; undefined: it is not known yet. */
  taken?: unknown;
  reason?: string | undefined;
}) {
  const path = `${part}.${name}`;
  const value = partOf(draft, part)[name];
  const set = (after: unknown) => setDraft(withValue(draft, path, after));
  const fallback = taken === undefined ? schema.default : taken;
  const label = name;
  const hint = (
    <>
      {value === undefined && reason && <span class="new-job-reason">Chosen {reason}. </span>}
      {schema.description}
    </>
  );
  const frame = { label, hint, error: faultAt(faults, path) };
  const choices = choicesOf(schema);
  if (choices && (value === undefined || choices.includes(value))) {
    const left = fallback === undefined ? 'left to Graft' : `${wordOf(fallback)} (as it is left)`;
    return (
      <Select
        {...frame}
        value={value === undefined ? '' : JSON.stringify(value)}
        onValue={(text) => set(text === '' ? undefined : JSON.parse(text))}
        options={[['', left], ...choices.map((each) => [JSON.stringify(each), wordOf(each)] as const)]}
      />
    );
  }
  return (
    <TextField
      {...frame}
      {...(takesNumber(schema) && { inputMode: 'decimal' as const })}
      spellcheck={false}
      autocomplete="off"
      placeholder={fallback === undefined ? 'left to Graft' : fallback === null ? 'none' : textOf(fallback)}
      value={textOf(value)}
      onValue={(text) => set(keepsText(text, schema))}
    />
  );
}

/** A number or a list that is still being written stays as it is: `1e`, `0.`, `1,`. */
function keepsText(text: string, schema: Schema): unknown {
  const value = readText(text, schema);
  return value !== undefined && textOf(value) !== text && /[.,e\s-]$|\.0+$/i.test(text) ? text : value;
}
