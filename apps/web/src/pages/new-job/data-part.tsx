import type { Model } from '@graft/client';
import { useMutation, useQuery } from '@tanstack/preact-query';
import { DropZone } from '../../components/forms/drop-zone.tsx';
import { FieldError, Select } from '../../components/forms/field.tsx';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { uploadFiles } from '../../data/uploads.ts';
import { counted } from '../../text/numbers.ts';
import { UploadList } from '../files/upload-list.tsx';
import { type Draft, faultAt, withValue } from './draft.ts';
import type { Form } from './option-field.tsx';

/** Fields for the model and the files. */
export function DataPart({ form, models, change }: { form: Form; models: readonly Model[]; change: Change }) {
  const { draft, setDraft, faults } = form;
  const canUpload = usePermission('files:write');
  const files = useQuery({
    queryKey: ['files', 'choice'],
    queryFn: async () => (await graft.files.list({ purpose: 'fine-tune', limit: 1000 }).page()).data,
  });
  const fileOptions = (files.data ?? []).map(
    ({ id, filename, examples }) => [id, `${filename} · ${counted(examples, 'example')}`] as const,
  );
  const set = (path: string) => (value: string) => setDraft(withValue(draft, path, value || undefined));
  // Checks the model before a large upload.
  const upload = useMutation({
    mutationFn: async ({ sources, model }: { sources: File[]; model: string }) => {
      const isListed = model === '' || models.some(({ id }) => id === model);
      if (!isListed) {
        const { faults } = await graft.fineTuning.jobs.check({
          model,
          ...(typeof draft.model === 'string' && { model: draft.model, start_from: model }),
        });
        const fault = faults.find(({ param }) => param === 'model' || param === 'start_from');
        if (fault) throw new Error(fault.message);
      }
      uploadFiles(sources, ({ id }) => change((current) => withValue(current, 'training_file', id)));
    },
  });
  const model = String(draft.start_from ?? draft.model ?? '');
  const uploadError = upload.variables?.model === model ? upload.error : null;
  const setModel = (model: string) => {
    const next = withValue(withValue(draft, 'model', model || undefined), 'start_from', undefined);
    // Continued training uses the adapter's own configuration.
    setDraft(model.startsWith('ft:') ? withValue(next, 'peft', undefined) : next);
  };
  return (
    <>
      <div class="new-job-fields">
        <Select
          label="Model"
          hint="A base model, or one of your team’s adapters to continue from."
          error={faultAt(faults, 'model') ?? faultAt(faults, 'start_from')}
          value={model}
          onValue={setModel}
          options={[['', 'Select…'], ...models.map(({ id }) => id)]}
        />
        <Select
          label="Training file"
          error={faultAt(faults, 'training_file')}
          value={String(draft.training_file ?? '')}
          onValue={set('training_file')}
          options={[['', 'Select…'], ...fileOptions]}
        />
        <Select
          label="Validation file"
          hint="Optional. To hold out a part of the training file instead, set validation_split."
          error={faultAt(faults, 'validation_file')}
          value={String(draft.validation_file ?? '')}
          onValue={set('validation_file')}
          options={[['', 'None'], ...fileOptions]}
        />
      </div>
      {canUpload && (
        <>
          <DropZone label="Upload file" kind="plain" onFiles={(sources) => upload.mutate({ sources, model })}>
            <p>…or drop it here to use it as the training file.</p>
          </DropZone>
          <FieldError text={uploadError && `The file was not uploaded. ${uploadError.message}`} />
          <UploadList />
        </>
      )}
    </>
  );
}

/** Updates the current draft. */
export type Change = (update: (current: Draft) => Draft) => void;
