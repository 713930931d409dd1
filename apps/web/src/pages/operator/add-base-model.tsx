import { Choice, TextField } from '../../components/forms/field.tsx';
import { FormDialog, useForm } from '../../components/forms/form.tsx';
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
  const { field, values, set, ...form } = useForm({
    initial: { id: '', source: 'hub' as Source, location: '', revision: '' },
    run: ({ id, source, location, revision }) =>
      graft.admin.baseModels.add({
        id: id.trim(),
        [source]: location.trim(),
        ...(source === 'hub' && revision.trim() !== '' && { revision: revision.trim() }),
      }),
    invalidates: [['base-models']],
    successMessage: (model) => `Downloading ${model.id} in the background.`,
    onDone: onClose,
  });
  const { source } = values;
  return (
    <FormDialog title="Add base model" action="Add" form={form} onClose={onClose}>
      <TextField
        label="Name"
        autofocus
        spellcheck={false}
        hint="The value of model in requests."
        {...field('id')}
      />
      <Choice
        label="Source"
        value={source}
        onValue={(source) => set({ source })}
        options={{ hub: 'Hugging Face Hub', folder: 'Folder', s3: 'S3 bucket' }}
      />
      <TextField {...sources[source]} spellcheck={false} {...field('location', source)} />
      {source === 'hub' && (
        <TextField
          label="Revision"
          placeholder="main"
          spellcheck={false}
          hint="A branch, tag or commit."
          {...field('revision')}
        />
      )}
    </FormDialog>
  );
}
