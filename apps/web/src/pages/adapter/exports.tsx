import type { AdapterExport, AdapterExportFormat, AdapterVersion } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Disclosure } from '../../components/disclosure.tsx';
import { Button, DownloadLink } from '../../components/forms/button.tsx';
import { Checkbox, Select, TextField } from '../../components/forms/field.tsx';
import { ConfirmButton, Form, useAction, useForm } from '../../components/forms/form.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Status } from '../../components/status.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';
import { bytes } from '../../text/numbers.ts';

const { exports } = graft.adapters;
const pollMs = 1000;
const keyOf = ({ adapter_id, version }: AdapterVersion) => ['adapter', adapter_id, 'exports', version];
const isOpen = ({ status }: AdapterExport) => status === 'queued' || status === 'running';

/** The exports of a version: a form for another one, and those that there are. */
export function Exports({ version }: { version: AdapterVersion }) {
  const { adapter_id: id, version: number } = version;
  const [polls, setPolls] = useState(true);
  const { data, error, refetch } = usePages(keyOf(version), () => exports.list(id, number, { limit: 100 }), {
    refetchInterval: polls && pollMs,
  });
  const rows = data?.pages.flatMap((page) => page.data) ?? [];
  const isWaiting = data === undefined || rows.some(isOpen);
  if (isWaiting !== polls) setPolls(isWaiting);
  const canWrite = usePermission('adapters:write');
  return (
    <div class="stack">
      {canWrite && <ExportForm key={version.id} version={version} />}
      {error && <Problem error={error} onRetry={refetch} />}
      {rows.length > 0 ? <List version={version} rows={rows} /> : data && <p class="soft">No exports.</p>}
    </div>
  );
}

function ExportForm({ version }: { version: AdapterVersion }) {
  const { adapter_id: id, version: number } = version;
  const {
    data: formats,
    error,
    refetch,
  } = useQuery({
    queryKey: ['adapter', id, 'export formats', number],
    queryFn: () => exports.formats(id, number),
  });
  if (error) return <Problem error={error} onRetry={refetch} />;
  return formats ? <FormatForm version={version} formats={formats} /> : null;
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
  const { format: name, options, keep } = form.values;
  const format = formats.find((each) => each.name === name)!;
  const schemas = Object.entries((format.options.properties ?? {}) as Record<string, OptionSchema>);
  const size = format.bytes === null ? '' : ` At most ${bytes(format.bytes)}.`;
  return (
    <Form
      form={form}
      footer={
        <div>
          <Button type="submit" busy={form.isPending} disabled={format.refusal !== null}>
            Export
          </Button>
        </div>
      }
    >
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
                error={form.errorAt('options', `options.${option}`)}
              />
            ))}
          </div>
        </Disclosure>
      )}
      <Checkbox label="Keep until deleted" checked={keep} onChecked={(on) => form.set({ keep: on })} />
    </Form>
  );
}

const List = ({ version, rows }: { version: AdapterVersion; rows: AdapterExport[] }) => (
  <Table
    label="Exports"
    minWidth="48rem"
    rows={rows}
    rowKey={({ id }) => id}
    columns={[
      { head: 'Format', cell: (made) => <Described made={made} /> },
      {
        head: 'Status',
        cell: (made) => <Status status={made.status} done={partDone(made)} />,
        width: '9rem',
      },
      { head: 'Size', cell: (made) => made.bytes !== null && bytes(made.bytes), end: true, width: '7rem' },
      { head: 'Created', cell: (made) => <Time at={made.created_at} />, width: '9rem' },
      { head: 'Expires', cell: (made) => <Expiry made={made} />, width: '9rem' },
      { actions: (made) => <Actions version={version} made={made} /> },
    ]}
  />
);

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

function Actions({ version, made }: { version: AdapterVersion; made: AdapterExport }) {
  const { adapter_id: id, version: number } = version;
  const invalidates = [keyOf(version)];
  const canWrite = usePermission('adapters:write');
  const cancel = useAction({ run: () => exports.cancel(id, number, made.id), invalidates });
  const keep = useAction({ run: () => exports.keep(id, number, made.id, !made.keep), invalidates });
  return (
    <div class="row">
      {made.download_path && (
        <DownloadLink small icon="download" href={made.download_path}>
          Download
        </DownloadLink>
      )}
      {canWrite && isOpen(made) && (
        <Button small kind="quiet" busy={cancel.isPending} onClick={() => cancel.mutate()}>
          Cancel
        </Button>
      )}
      {canWrite && made.status === 'succeeded' && (
        <Button small kind="quiet" busy={keep.isPending} onClick={() => keep.mutate()}>
          {made.keep ? 'Let expire' : 'Keep'}
        </Button>
      )}
      {canWrite && !isOpen(made) && (
        <ConfirmButton
          button={{ kind: 'quiet', small: true, children: 'Delete' }}
          title={`Delete the export ${made.format}?`}
          action="Delete export"
          run={() => exports.delete(id, number, made.id)}
          invalidates={invalidates}
        >
          <p>Its files are removed. You can export the version again.</p>
        </ConfirmButton>
      )}
    </div>
  );
}

/** The part of an option's JSON Schema that the form shows. */
interface OptionSchema {
  type?: string;
  enum?: readonly string[];
  default?: unknown;
  description?: string;
}

interface Props {
  name: string;
  schema: OptionSchema;
  /** Undefined: the default. */
  value: unknown;
  onValue: (value: unknown) => void;
  error: string | null;
}

/** A field for an option of an export format: a selection, a checkbox, or text that is sent as a number where the option is one. */
function ExportOption({ name, schema, value, onValue, error }: Props) {
  const shown = value ?? schema.default;
  const hint = schema.description ?? null;
  if (schema.enum)
    return (
      <Select
        label={name}
        value={String(shown)}
        onValue={onValue}
        options={schema.enum}
        hint={hint}
        error={error}
      />
    );
  if (schema.type === 'boolean')
    return (
      <Checkbox
        label={
          <>
            {name} <span class="small soft">{hint}</span>
          </>
        }
        checked={shown === true}
        onChecked={onValue}
      />
    );
  const isNumber = schema.type === 'integer' || schema.type === 'number';
  return (
    <TextField
      label={name}
      value={shown === undefined || shown === null ? '' : String(shown)}
      onValue={(text) => onValue(textValue(text, isNumber))}
      hint={hint}
      error={error}
    />
  );
}

/** An empty text is the default. Text that is no number is sent as it is, so that the API names the fault. */
function textValue(text: string, isNumber: boolean): unknown {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  return isNumber && Number.isFinite(Number(trimmed)) ? Number(trimmed) : text;
}
