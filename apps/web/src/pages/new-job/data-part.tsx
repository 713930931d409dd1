import type { Model } from '@graft/client';
import { MAX_DATA_FILES } from '@graft/wire/lists';
import { useMutation } from '@tanstack/preact-query';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { DropZone } from '../../components/forms/drop-zone.tsx';
import { Checkbox, FieldError, Select, TextField } from '../../components/forms/field.tsx';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { type UploadOptions, uploadFiles } from '../../data/uploads.ts';
import { useTrainingFiles } from '../../data/use-training-files.ts';
import { counted, percent } from '../../text/numbers.ts';
import { UploadList } from '../files/upload-list.tsx';
import { UploadOptionFields, useUploadOptions } from '../files/upload-options.tsx';
import {
  type Draft,
  type FileKind,
  type FileRow,
  faultAt,
  fileRows,
  HELD_OUT,
  valueAt,
  withFileRows,
  withUpload,
  withValue,
} from './draft.ts';
import { type Form, OptionField, type PartProps, textAt } from './option-field.tsx';
import { listProperties } from './schema.ts';

export function DataPart({ form, models, change }: { form: Form; models: readonly Model[]; change: Change }) {
  const { draft, setDraft, faults } = form;
  const canUpload = usePermission('files:write');
  const uploadOptions = useUploadOptions();
  const files = useFileOptions();
  // Checks the model before a large upload.
  const upload = useMutation({
    mutationFn: async ({ sources, options, model }: Selected) => {
      const isListed = model === '' || models.some(({ id }) => id === model);
      if (!isListed) {
        const { faults } = await graft.fineTuning.jobs.check({
          model,
          ...(typeof draft.model === 'string' && { model: draft.model, start_from: model }),
        });
        const fault = faults.find(({ param }) => param === 'model' || param === 'start_from');
        if (fault) throw new Error(fault.message);
      }
      uploadFiles(sources, {
        columns: options.columns,
        onBadLines: options.onBadLines,
        onDone: ({ id }) => change((current) => withUpload(current, id)),
      });
    },
  });
  const model = String(draft.start_from ?? draft.model ?? '');
  const onFiles = (sources: File[]) => {
    const options = uploadOptions.read();
    if (options) upload.mutate({ sources, options, model });
  };
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
        <FileRows form={form} kind="training" files={files} />
        {fileRows(draft, 'training').length > 1 && (
          <Select
            label="Mixture"
            hint="How an epoch mixes the training files."
            {...textAt(form, 'training.mix_strategy')}
            onValue={(strategy) => setDraft(withMix(draft, strategy))}
            options={mixtures}
          />
        )}
        <FieldError text={faults.get('training_files')} />
      </div>
      {canUpload && (
        <>
          <div class="tight">
            <DropZone label="Upload file" kind="plain" onFiles={onFiles}>
              <p>…or drop it here to use it as the training file.</p>
            </DropZone>
            <UploadOptionFields {...uploadOptions} />
          </div>
          <FieldError text={uploadError && `The file was not uploaded. ${uploadError.message}`} />
          <UploadList />
        </>
      )}
      <div class="new-job-fields">
        <TextField
          label="Name"
          hint="Name of the adapter, and part of the model name. Letters, digits, dots and dashes."
          {...textAt(form, 'suffix')}
        />
        {fileRows(draft, 'validation').length === 0 && <HoldOut form={form} />}
      </div>
    </>
  );
}

function HoldOut({ form: { draft, setDraft } }: { form: Form }) {
  const share = valueAt(draft, 'training.validation_split');
  const isOn = typeof share === 'number' && share > 0;
  return (
    <Checkbox
      label={`Hold out ${percent(isOn ? share : HELD_OUT)} of the examples for validation`}
      checked={isOn}
      onChecked={(on) => setDraft(withValue(draft, 'training.validation_split', on ? HELD_OUT : undefined))}
    />
  );
}

/** Validation files, or the share of the training files that is held out. */
export function ValidationPart({ form, options, plan }: PartProps) {
  const files = useFileOptions();
  return (
    <div class="new-job-fields">
      <FileRows form={form} kind="validation" files={files} hint="In place of held-out examples." />
      {listProperties(options.training)
        .filter(([name]) => name === 'validation_split' || name === 'validation_seed')
        .map(([name, schema]) => (
          <OptionField
            key={name}
            form={form}
            part="training"
            name={name}
            schema={schema}
            {...(plan && { used: valueAt(plan, `training.${name}`) ?? null })}
          />
        ))}
      <FieldError text={form.faults.get('validation_files')} />
    </div>
  );
}

function useFileOptions(): FileOptions {
  const files = useTrainingFiles();
  return (files.data ?? []).map(
    ({ id, filename, examples }) => [id, `${filename} · ${counted(examples, 'example')}`] as const,
  );
}

/** Files to upload, and the model that a job would train on them. */
interface Selected {
  sources: File[];
  options: UploadOptions;
  model: string;
}

/** Updates the current draft. */
export type Change = (update: (current: Draft) => Draft) => void;

const mixtures = [
  ['', 'Every file, as often as its epochs (concat)'],
  ['interleave_under', 'By weight, until one file is used up (interleave_under)'],
  ['interleave_over', 'By weight, until every file is used up (interleave_over)'],
] as const;

/** The draft with another mixture: weights become epochs, or the reverse. */
function withMix(draft: Draft, strategy: string): Draft {
  const [from, to] = strategy === '' ? (['weight', 'epochs'] as const) : (['epochs', 'weight'] as const);
  const rows = fileRows(draft, 'training').map(({ [from]: share, ...row }) =>
    share === undefined ? row : { ...row, [to]: share },
  );
  return withFileRows(withValue(draft, 'training.mix_strategy', strategy || undefined), 'training', rows);
}

const labels = { training: 'Training file', validation: 'Validation file' };

type FileOptions = readonly (readonly [id: string, text: string])[];

/** The training or validation files: one, or several with shares or names. */
function FileRows({
  form: { draft, setDraft, faults },
  kind,
  files,
  hint,
}: {
  form: Form;
  kind: FileKind;
  files: FileOptions;
  hint?: string;
}) {
  const chosen = fileRows(draft, kind);
  const rows: FileRow[] = chosen.length > 0 ? chosen : [{ file: '' }];
  const isList = Array.isArray(draft[`${kind}_files`]);
  const setRows = (next: readonly FileRow[]) => {
    const changed = withFileRows(draft, kind, next);
    // Validation files and held-out examples exclude each other.
    const isValidated = kind === 'validation' && fileRows(changed, kind).length > 0;
    setDraft(isValidated ? withValue(changed, 'training.validation_split', undefined) : changed);
  };
  const set = (i: number, change: Partial<FileRow>) => {
    const entries = Object.entries({ ...rows[i], ...change }).filter(([, value]) => value !== undefined);
    setRows(rows.with(i, Object.fromEntries(entries) as FileRow));
  };
  const label = labels[kind];
  return (
    <>
      {rows.map((row, i) => (
        <div class="new-job-file" key={i}>
          <Select
            label={rows.length > 1 ? `${label} ${i + 1}` : label}
            hint={i === 0 && hint}
            error={
              faultAt(faults, isList ? `${kind}_files[${i}].file` : `${kind}_file`) ??
              faults.get(`${kind}_files[${i}]`)
            }
            value={row.file}
            onValue={(file) => set(i, { file })}
            options={[['', kind === 'training' || rows.length > 1 ? 'Select…' : 'None'], ...files]}
          />
          {isList && (
            <ShareField form={{ draft, setDraft, faults }} kind={kind} row={row} index={i} set={set} />
          )}
          {rows.length > 1 && (
            <IconButton
              label={`Remove ${label.toLowerCase()} ${i + 1}`}
              icon="close"
              small
              onClick={() => setRows(rows.toSpliced(i, 1))}
            />
          )}
        </div>
      ))}
      {rows[0]!.file !== '' && rows.length < MAX_DATA_FILES && (
        <p>
          <Button kind="quiet" small onClick={() => setRows([...rows, { file: '' }])}>
            Add {label.toLowerCase()}
          </Button>
        </p>
      )}
    </>
  );
}

/** The epochs or weight of a training file, or the name of a validation file. */
function ShareField({
  form: { draft, faults },
  kind,
  row,
  index,
  set,
}: {
  form: Form;
  kind: FileKind;
  row: FileRow;
  index: number;
  set(index: number, change: Partial<FileRow>): void;
}) {
  if (kind === 'validation')
    return (
      <TextField
        label={`Name of file ${index + 1}`}
        hint="For its curves, eval_name_loss."
        error={faultAt(faults, `validation_files[${index}].name`)}
        value={row.name ?? ''}
        placeholder="from the file name"
        onValue={(name) => set(index, { name: name || undefined } as Partial<FileRow>)}
      />
    );
  const isWeighted = String(valueAt(draft, 'training.mix_strategy') ?? '').startsWith('interleave');
  const field = isWeighted ? 'weight' : 'epochs';
  return (
    <TextField
      label={`${isWeighted ? 'Weight' : 'Epochs'} of file ${index + 1}`}
      inputMode="decimal"
      error={faultAt(faults, `training_files[${index}].${field}`)}
      value={row[field] === undefined ? '' : String(row[field])}
      placeholder="1"
      onValue={(text) => set(index, { [field]: text.trim() === '' ? undefined : numberOf(text) })}
    />
  );
}

/** Text that is no number stays text, so that the API reports it. */
const numberOf = (text: string): number => {
  const value = Number(text);
  return Number.isFinite(value) && !/[.,]$/.test(text) ? value : (text as unknown as number);
};
