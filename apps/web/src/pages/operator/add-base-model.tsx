import type { NewBaseModel } from '@graft/client';
import { useState } from 'preact/hooks';
import { Choice, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { faultOf, restOf, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';

type From = 'hub' | 'folder' | 's3';

const places: Record<From, { label: string; placeholder: string; hint: string }> = {
  hub: { label: 'On the Hub', placeholder: 'organisation/name', hint: 'Must be allowed by GRAFT_HUB_ALLOW.' },
  folder: { label: 'Folder', placeholder: '/models/name', hint: 'Absolute, and the same on every machine.' },
  s3: {
    label: 'Prefix',
    placeholder: 's3://bucket/prefix',
    hint: 'Must be allowed by GRAFT_BASE_MODEL_SOURCES.',
  },
};

export function AddBaseModel({ onClose }: { onClose: () => void }) {
  const [id, setId] = useState('');
  const [from, setFrom] = useState<From>('hub');
  const [place, setPlace] = useState('');
  const [revision, setRevision] = useState('');
  const add = useAction({
    run: (form: NewBaseModel) => graft.admin.baseModels.add(form),
    touches: [['base-models']],
    quiet: true,
    said: (model) => `${model.id} is fetched in the background.`,
    onDone: onClose,
  });
  const submit = () =>
    add.mutate({
      id: id.trim(),
      [from]: place.trim(),
      ...(from === 'hub' && revision.trim() !== '' && { revision: revision.trim() }),
    });
  const { label, placeholder, hint } = places[from];
  return (
    <FormDialog
      title="Add a base model"
      action="Add it"
      busy={add.isPending}
      error={restOf(add.error, ['id', from, 'revision'])}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField
        label="Name"
        autofocus
        spellcheck={false}
        value={id}
        onValue={setId}
        error={faultOf(add.error, 'id')}
        hint="What requests will name as model."
      />
      <Choice
        label="From"
        value={from}
        onValue={setFrom}
        options={[
          ['hub', 'The Hub'],
          ['folder', 'A folder'],
          ['s3', 'A bucket'],
        ]}
      />
      <TextField
        label={label}
        placeholder={placeholder}
        spellcheck={false}
        value={place}
        onValue={setPlace}
        error={faultOf(add.error, from)}
        hint={hint}
      />
      {from === 'hub' && (
        <TextField
          label="Revision"
          placeholder="main"
          spellcheck={false}
          value={revision}
          onValue={setRevision}
          error={faultOf(add.error, 'revision')}
          hint="A branch, tag or commit."
        />
      )}
    </FormDialog>
  );
}
