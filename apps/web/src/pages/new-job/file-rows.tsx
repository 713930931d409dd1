import { MAX_DATA_FILES } from '@graft/wire/lists';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { Select, TextField } from '../../components/forms/field.tsx';
import { type FileKind, type FileRow, faultAt, fileRows, partOf, withFileRows } from './draft.ts';
import type { Form } from './option-field.tsx';

const labels = { training: 'Training file', validation: 'Validation file' };

type FileOptions = readonly (readonly [id: string, text: string])[];

/** The training or validation files: one, or several with shares or names. */
export function FileRows({
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
  const setRows = (next: readonly FileRow[]) => setDraft(withFileRows(draft, kind, next));
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
  const isWeighted = String(partOf(draft, 'training').mix_strategy ?? '').startsWith('interleave');
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
