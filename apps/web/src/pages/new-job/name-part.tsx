import { useState } from 'preact/hooks';
import { Select, TextArea, TextField } from '../../components/forms/field.tsx';
import { type Draft, faultAt, partOf, withValue } from './draft.ts';
import type { Form } from './option-field.tsx';

const priorities = [
  ['', 'normal'],
  ['high', 'high'],
  ['low', 'low'],
] as const;

/** What names a job, and where it stands among the team's. */
export function NamePart({ form: { draft, setDraft, faults } }: { form: Form }) {
  // A pair that is still being written is none yet.
  const [metadata, setMetadata] = useState(() => linesOf(draft));
  const set = (path: string, value: unknown) => setDraft(withValue(draft, path, value));
  return (
    <div class="new-job-fields">
      <TextField
        label="Name"
        hint="Of the adapter, and part of the model’s name: letters, digits, dots and dashes."
        error={faultAt(faults, 'suffix')}
        value={String(draft.suffix ?? '')}
        onValue={(text) => set('suffix', text || undefined)}
      />
      <Select
        label="Priority"
        hint="Among your team’s jobs."
        error={faultAt(faults, 'priority')}
        value={draft.priority === 'normal' ? '' : String(draft.priority ?? '')}
        onValue={(value) => set('priority', value || undefined)}
        options={priorities}
      />
      <TextField
        label="Seed"
        hint="The same one, and all else the same, makes the same adapter."
        inputMode="numeric"
        error={faultAt(faults, 'seed')}
        placeholder="42"
        value={String(draft.seed ?? '')}
        onValue={(text) => set('seed', /^\d+$/.test(text) ? Number(text) : text || undefined)}
      />
      <TextArea
        label="Metadata"
        hint="One a line, as in run=a: jobs are found by them."
        error={faultAt(faults, 'metadata')}
        rows={2}
        value={metadata}
        onValue={(text) => {
          setMetadata(text);
          set('metadata', pairsOf(text));
        }}
      />
    </div>
  );
}

const linesOf = (draft: Draft) =>
  Object.entries(partOf(draft, 'metadata'))
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');

function pairsOf(text: string): Record<string, string> | undefined {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const pairs = lines.map((line) => {
    const at = line.indexOf('=');
    return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
  });
  return pairs.length === 0 ? undefined : (Object.fromEntries(pairs) as Record<string, string>);
}
