import type { NewBaseModel } from '@graft/client';
import { useState } from 'preact/hooks';
import { Choice, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { fieldError, otherError, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';

type Source = 'hub' | 'folder' | 's3';

const sources: Record<Source, { label: string; placeholder: string; hint: string }> = {
  hub: { label: 'Repository', placeholder: 'organization/name', hint: 'Must be allowed by GRAFT_HUB_ALLOW.' },
  folder: { label: 'Folder', placeholder: '/models/name', hint: 'Absolute path, the same on every machine.' },
  s3: {
    label: 'Bucket prefix',
    placeholder: 's3://bucket/prefix',
    hint: 'Must be allowed by GRAFT_BASE_MODEL_SOURCES.',
  },
};

export function AddBaseModel({ onClose }: { onClose: () => void }) {
  const [id, setId] = useState('');
  const [source, setSource] = useState<Source>('hub');
  const [location, setLocation] = useState('');
  const [revision, setRevision] = useState('');
  const add = useAction({
    run: (form: NewBaseModel) => graft.admin.baseModels.add(form),
    invalidates: [['base-models']],
    quiet: true,
    successMessage: (model) => `Downloading ${model.id} in the background.`,
    onDone: onClose,
  });
  const submit = () =>
    add.mutate({
      id: id.trim(),
      [source]: location.trim(),
      ...(source === 'hub' && revision.trim() !== '' && { revision: revision.trim() }),
    });
  const { label, placeholder, hint } = sources[source];
  return (
    <FormDialog
      title="Add base model"
      action="Add"
      busy={add.isPending}
      error={otherError(add.error, ['id', source, 'revision'])}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField
        label="Name"
        autofocus
        spellcheck={false}
        value={id}
        onValue={setId}
        error={fieldError(add.error, 'id')}
        hint="The value of model in requests."
      />
      <Choice
        label="Source"
        value={source}
        onValue={setSource}
        options={[
          ['hub', 'Hugging Face Hub'],
          ['folder', 'Folder'],
          ['s3', 'S3 bucket'],
        ]}
      />
      <TextField
        label={label}
        placeholder={placeholder}
        spellcheck={false}
        value={location}
        onValue={setLocation}
        error={fieldError(add.error, source)}
        hint={hint}
      />
      {source === 'hub' && (
        <TextField
          label="Revision"
          placeholder="main"
          spellcheck={false}
          value={revision}
          onValue={setRevision}
          error={fieldError(add.error, 'revision')}
          hint="A branch, tag or commit."
        />
      )}
    </FormDialog>
  );
}
