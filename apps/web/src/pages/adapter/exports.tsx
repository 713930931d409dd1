import type { AdapterExport, AdapterExportFormat, AdapterVersion } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Disclosure } from '../../components/disclosure.tsx';
import { Checkbox, Select, TextField } from '../../components/forms/field.tsx';
import { Confirm, Form, useAction, useForm } from '../../components/forms/form.tsx';
import { ShortListing } from '../../components/lists/listing.tsx';
import { Problem } from '../../components/problem.tsx';
import { Status } from '../../components/status.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';
import { bytes } from '../../text/numbers.ts';

const { exports } = graft.adapters;
const keyOf = ({ adapter_id, version }: AdapterVersion) => ['adapter', adapter_id, 'exports', version];
const isOpen = ({ status }: AdapterExport) => status === 'queued' || status === 'running';

/** The exports of a version, read again while `isRefreshed` and one is not complete. */
export const useExports = (version: AdapterVersion, isRefreshed = false) =>
  usePages(keyOf(version), () => exports.list(version.adapter_id, version.version, { limit: 100 }), {
    refetchInterval: isRefreshed && 1000,
    while: isOpen,
  });

/** The exports of a version: a form for another one, and those that there are. */
export function Exports({ version }: { version: AdapterVersion }) {
  const { adapter_id: id, version: number } = version;
  const canWrite = usePermission('adapters:write');
  const invalidates = [keyOf(version)];
  const cancel = useAction({ run: (made: string) => exports.cancel(id, number, made), invalidates });
  const keep = useAction({
    run: (made: AdapterExport) => exports.keep(id, number, made.id, !made.keep),
    invalidates,
  });
  return (
    <div class="stack">
      {canWrite && <ExportForm key={version.id} version={version} />}
      <ShortListing
        pages={useExports(version, true)}
        label="Exports"
        minWidth="48rem"
        emptyText="No exports."
        columns={[
          { head: 'Format', cell: (made) => <Described made={made} /> },
          {
            head: 'Status',
            cell: (made) => <Status status={made.status} done={partDone(made)} />,
            width: '9rem',
          },
          {
            head: 'Size',
            cell: (made) => made.bytes !== null && bytes(made.bytes),
            end: true,
            width: '7rem',
          },
          { head: 'Created', cell: (made) => <Time at={made.created_at} />, width: '9rem' },
          { head: 'Expires', cell: (made) => <Expiry made={made} />, width: '9rem' },
          {
            actions: (made) => [
              made.download_path !== null && { text: 'Download', download: made.download_path },
              canWrite &&
                isOpen(made) && {
                  text: 'Cancel',
                  busy: cancel.isPending && cancel.variables === made.id,
                  run: () => cancel.mutate(made.id),
                },
              canWrite &&
                made.status === 'succeeded' && {
                  text: made.keep ? 'Let expire' : 'Keep',
                  busy: keep.isPending && keep.variables.id === made.id,
                  run: () => keep.mutate(made),
                },
              canWrite &&
                !isOpen(made) && {
                  text: 'Delete',
                  dialog: (
                    <Confirm
                      title={`Delete the export ${made.format}?`}
                      action="Delete export"
                      run={() => exports.delete(id, number, made.id)}
                      invalidates={invalidates}
                    >
                      <p>Its files are removed. You can export the version again.</p>
                    </Confirm>
                  ),
                },
            ],
          },
        ]}
      />
    </div>
  );
}

function ExportForm({ version }: { version: AdapterVersion }) {
  const { adapter_id: id, version: number } = version;
  const formats = useQuery({
    queryKey: ['adapter', id, 'export formats', number],
    queryFn: () => exports.formats(id, number),
  });
  if (formats.error) return <Problem error={formats.error} onRetry={formats.refetch} />;
  return formats.data ? <FormatForm version={version} formats={formats.data} /> : null;
}

function FormatForm({ version, formats }: { version: AdapterVersion; formats: AdapterExportFormat[] }) {
  const form = useForm({
    initial: {
      format: (formats.find(({ refusal }) => refusal === null) ?? formats[0]!).name,
      options: {} as Record<string, unknown>,
      keep: false,
    },
    run: (values) => exports.create(version.adapter_id, version.version, values),
    invalidates: [keyOf(version)],
  });
  const { format: name, options } = form.values;
  const format = formats.find((each) => each.name === name)!;
  const schemas = Object.entries((format.options.properties ?? {}) as Record<string, OptionSchema>);
  const size = format.bytes === null ? '' : ` At most ${bytes(format.bytes)}.`;
  return (
    <Form form={form} action="Export" disabled={format.refusal !== null}>
      <Select
        label="Format"
        {...form.field('format')}
        onValue={(value) => form.set({ format: value, options: {} })}
        options={formats.map((each) => [
          each.name,
          each.refusal === null ? each.title : `${each.title} (not possible)`,
        ])}
        hint={format.refusal ?? `${format.summary} Read by ${format.runtimes.join(', ')}.${size}`}
      />
      {schemas.length > 0 && (
        <Disclosure summary="Options">
          <div class="stack">
            {schemas.map(([option, schema]) => (
              <ExportOption
                key={`${name} ${option}`}
                name={option}
                schema={schema}
                value={options[option]}
                onValue={(value) => form.set({ options: { ...options, [option]: value } })}
                error={form.errorAt(`options.${option}`)}
              />
            ))}
          </div>
        </Disclosure>
      )}
      <Checkbox label="Keep until deleted" {...form.toggle('keep')} />
    </Form>
  );
}

function Described({ made: { format, options, error, notes, files } }: { made: AdapterExport }) {
  const set = Object.entries(options).map(([name, value]) => `${name} ${String(value)}`);
  return (
    <>
      {format}
      {set.length > 0 && <div class="small soft">{set.join(', ')}</div>}
      {error && <div class="small bad">{error.message}</div>}
      {notes.map((note) => (
        <div key={note} class="small soft">
          {note}
        </div>
      ))}
      {files.length > 0 && (
        <Disclosure summary="Files">
          <ul class="small">
            {files.map(({ path, bytes: size, download_path }) => (
              <li key={path}>
                <a href={download_path} download>
                  {path}
                </a>{' '}
                {bytes(size)}
              </li>
            ))}
          </ul>
        </Disclosure>
      )}
    </>
  );
}

const partDone = ({ progress }: AdapterExport) =>
  progress?.total_bytes ? progress.bytes / progress.total_bytes : null;

const Expiry = ({ made: { keep, expires_at: at } }: { made: AdapterExport }) =>
  keep ? <>Never</> : at === null ? null : <Time at={at} />;

/** The part of an option's JSON Schema that the form shows. */
interface OptionSchema {
  type?: string;
  enum?: readonly string[];
  default?: unknown;
  description?: string;
}

interface OptionProps {
  name: string;
  schema: OptionSchema;
  /** Undefined: the default. */
  value: unknown;
  onValue: (value: unknown) => void;
  error: string | null;
}

/** A field for an option of an export format: a selection, a checkbox, or text that is sent as a number where the option is one. */
function ExportOption({ name, schema, value, ...field }: OptionProps) {
  const shown = value ?? schema.default;
  const text = shown === undefined || shown === null ? '' : String(shown);
  const frame = { label: name, value: text, hint: schema.description ?? null, ...field };
  if (schema.enum) return <Select {...frame} options={schema.enum} />;
  if (schema.type === 'boolean') {
    const label = (
      <>
        {name} <span class="small soft">{schema.description}</span>
      </>
    );
    return <Checkbox label={label} checked={shown === true} onChecked={field.onValue} />;
  }
  const isNumber = schema.type === 'integer' || schema.type === 'number';
  return <TextField {...frame} onValue={(typed) => field.onValue(textValue(typed, isNumber))} />;
}

/** An empty text is the default. Text that is no number is sent as it is, so that the API names the fault. */
function textValue(text: string, isNumber: boolean): unknown {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  return isNumber && Number.isFinite(Number(trimmed)) ? Number(trimmed) : text;
}
