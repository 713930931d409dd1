import type { Wire } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { Select, TextField } from '../../components/forms/field.tsx';
import { type Draft, type Faults, faultAt, partAt, valueAt, withValue } from './draft.ts';
import {
  acceptsNumber,
  formatValue,
  listChoices,
  type NamedSchema,
  parseValue,
  type Schema,
  valueLabel,
} from './schema.ts';

export interface Form {
  draft: Draft;
  setDraft: (draft: Draft) => void;
  faults: Faults;
}

/** Properties of a field of text at a path of the draft. An empty text removes the value. */
export const textAt = ({ draft, setDraft, faults }: Form, path: string) => ({
  value: String(valueAt(draft, path) ?? ''),
  error: faultAt(faults, path),
  onValue: (text: string) => setDraft(withValue(draft, path, text || undefined)),
});

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
  const value = valueAt(draft, path);
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

interface OptionFieldsProps {
  form: Form;
  part: string;
  /** Group of the options that are not shown at first, such as "training". */
  title: string;
  options: readonly NamedSchema[];
  isShown: (name: string) => boolean;
  field: (option: NamedSchema) => ComponentChildren;
}

/** Fields of a part's options: some are shown at first, the others below them, opened if the draft has one of them. */
export function OptionFields({ form, part, title, options, isShown, field }: OptionFieldsProps) {
  const current = partAt(form.draft, part);
  const shown = options.filter(([name]) => isShown(name));
  const rest = options.filter(([name]) => !isShown(name));
  return (
    <>
      {shown.length > 0 && <div class="new-job-fields">{shown.map(field)}</div>}
      {rest.length > 0 && (
        <details class="new-job-more" open={rest.some(([name]) => name in current)}>
          <summary>More {title} options</summary>
          <div class="new-job-fields">{rest.map(field)}</div>
        </details>
      )}
    </>
  );
}

interface MethodChoiceProps {
  label: string;
  /** `when`: when to use it. */
  methods: readonly { name: string; title: string; when: string; permitted?: boolean }[];
  selected: string;
  onSelect: (name: string) => void;
}

/** A card for each method, of which one is selected. */
export function MethodChoice({ label, methods, selected, onSelect }: MethodChoiceProps) {
  const group = useId();
  return (
    <fieldset class="new-job-methods">
      <legend class="visually-hidden">{label}</legend>
      {methods.map(({ name, title, when, permitted = true }) => (
        <label key={name} data-off={!permitted}>
          <input
            type="radio"
            name={group}
            checked={name === selected}
            disabled={!permitted}
            onChange={() => onSelect(name)}
          />
          <span>
            <strong>{title}</strong>
            <span class="small">{permitted ? when : 'Not available to your team.'}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

/** Parses text, but keeps incomplete numbers and lists as typed: `1e`, `0.`, `1,`. */
function parseInput(text: string, schema: Schema): unknown {
  const value = parseValue(text, schema);
  return value !== undefined && formatValue(value) !== text && /[.,e\s-]$|\.0+$/i.test(text) ? text : value;
}
