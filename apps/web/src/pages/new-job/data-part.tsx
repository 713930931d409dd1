import type { Model } from '@graft/client';
import { useMutation, useQuery } from '@tanstack/preact-query';
import { DropZone } from '../../components/forms/drop-zone.tsx';
import { Select } from '../../components/forms/field.tsx';
import { graft } from '../../data/graft.ts';
import { useMay } from '../../data/session.ts';
import { sendFiles } from '../../data/uploads.ts';
import { counted } from '../../text/numbers.ts';
import { Sendings } from '../files/sendings.tsx';
import { type Draft, faultAt, withValue } from './draft.ts';
import type { Form } from './option-field.tsx';

/** What is trained, and on what. */
export function DataPart({ form, models, change }: { form: Form; models: readonly Model[]; change: Change }) {
  const { draft, setDraft, faults } = form;
  const mayUpload = useMay('files:write');
  const files = useQuery({
    queryKey: ['files', 'choice'],
    queryFn: async () => (await graft.files.list({ purpose: 'fine-tune', limit: 1000 }).page()).data,
  });
  const choice = (files.data ?? []).map(
    ({ id, filename, examples }) => [id, `${filename} · ${counted(examples, 'example')}`] as const,
  );
  const set = (path: string) => (value: string) => setDraft(withValue(draft, path, value || undefined));
  // A file may be large: one that could not be trained on is not sent.
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
      sendFiles(sources, ({ id }) => change((now) => withValue(now, 'training_file', id)));
    },
  });
  const model = String(draft.start_from ?? draft.model ?? '');
  const refused = upload.variables?.model === model ? upload.error : null;
  const setModel = (model: string) => {
    const after = withValue(withValue(draft, 'model', model || undefined), 'start_from', undefined);
    // An adapter goes on with its own configuration.
    setDraft(model.startsWith('ft:') ? withValue(after, 'peft', undefined) : after);
  };
  return (
    <>
      <div class="new-job-fields">
        <Select
          label="Model"
          hint="A base model, or one of the team’s adapters to go on from."
          error={faultAt(faults, 'model') ?? faultAt(faults, 'start_from')}
          value={model}
          onValue={setModel}
          options={[
            ['', 'Choose one'],
            ...withOwn(
              models.map(({ id }) => [id, id] as const),
              draft.start_from ?? draft.model,
            ),
          ]}
        />
        <Select
          label="Training file"
          error={faultAt(faults, 'training_file')}
          value={String(draft.training_file ?? '')}
          onValue={set('training_file')}
          options={[['', 'Choose one'], ...withOwn(choice, draft.training_file)]}
        />
        <Select
          label="Validation file"
          hint="Or let a share of the training file be held out: validation_split, below."
          error={faultAt(faults, 'validation_file')}
          value={String(draft.validation_file ?? '')}
          onValue={set('validation_file')}
          options={[['', 'None'], ...withOwn(choice, draft.validation_file)]}
        />
      </div>
      {mayUpload && (
        <>
          <DropZone
            label="Upload a file"
            kind="plain"
            onFiles={(sources) => upload.mutate({ sources, model })}
          >
            <p>…or drop it here: it becomes the training file.</p>
          </DropZone>
          {refused && (
            <p class="field-error" role="alert">
              The file was not uploaded. {refused.message}
            </p>
          )}
          <Sendings />
        </>
      )}
    </>
  );
}

/** Of what the draft is by then. */
export type Change = (after: (now: Draft) => Draft) => void;

/** With what is chosen already, though the list does not have it: it may be older than what is listed. */
const withOwn = (options: readonly (readonly [string, string])[], own: unknown) =>
  typeof own !== 'string' || own === '' || options.some(([id]) => id === own)
    ? options
    : [...options, [own, own] as const];
