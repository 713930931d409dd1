import { useState } from 'preact/hooks';
import { Select, TextArea, TextField } from '../../components/forms/field.tsx';
import { type Draft, faultAt, partAt, withValue } from './draft.ts';
import { type PartProps, textAt } from './option-field.tsx';

export function DetailsPart({ form }: PartProps) {
  const { draft, setDraft, faults } = form;
  // As typed: an incomplete line is no pair yet.
  const [metadata, setMetadata] = useState(() => formatPairs(draft));
  const set = (path: string, value: unknown) => setDraft(withValue(draft, path, value));
  return (
    <div class="new-job-fields">
      <Select
        label="Priority"
        hint="Relative to your team’s other jobs."
        {...textAt(form, 'priority')}
        {...(draft.priority === 'normal' && { value: '' })}
        options={{ '': 'normal', high: 'high', low: 'low' }}
      />
      <TextField
        label="Seed"
        hint="The same seed and settings reproduce the same adapter."
        inputMode="numeric"
        placeholder="42"
        {...textAt(form, 'seed')}
        onValue={(text) => set('seed', /^\d+$/.test(text) ? Number(text) : text || undefined)}
      />
      <TextArea
        label="Metadata"
        hint="One key=value pair per line, to find jobs by."
        error={faultAt(faults, 'metadata')}
        rows={2}
        value={metadata}
        onValue={(text) => {
          setMetadata(text);
          set('metadata', parsePairs(text));
        }}
      />
    </div>
  );
}

const formatPairs = (draft: Draft) =>
  Object.entries(partAt(draft, 'metadata'))
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');

function parsePairs(text: string): Record<string, string> | undefined {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const pairs = lines.map((line) => {
    const at = line.indexOf('=');
    return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
  });
  return pairs.length === 0 ? undefined : (Object.fromEntries(pairs) as Record<string, string>);
}
