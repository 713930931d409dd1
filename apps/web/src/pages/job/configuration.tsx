import type { FineTuningJob, JobCreateParams } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { CodeBlock } from '../../components/code-block.tsx';
import { Choice } from '../../components/forms/field.tsx';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { graft } from '../../data/graft.ts';
import { useQueryState } from '../../router/query-state.ts';
import { isPresent, valueText } from '../../text/numbers.ts';
import { shellQuoted } from '../../text/shell.ts';

/** Writes a job request as code, which reads the API key from the environment. */
type Write = (request: JobCreateParams, baseUrl: string) => string;

/** The request without null, empty objects and empty lists. */
function omitEmpty(request: JobCreateParams): JobCreateParams {
  const omit = (value: unknown): unknown => {
    if (Array.isArray(value) || typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([name, each]) => [name, omit(each)] as const);
    return Object.fromEntries(entries.filter(([, each]) => isPresent(each)));
  };
  return omit(request) as JobCreateParams;
}

const toCurl: Write = (request, baseUrl) =>
  [
    `curl ${baseUrl}/fine_tuning/jobs \\`,
    `  -H "Authorization: Bearer $GRAFT_API_KEY" \\`,
    `  -H 'content-type: application/json' \\`,
    `  -d ${shellQuoted(JSON.stringify(request, null, 2))}`,
  ].join('\n');

/** Parameters of OpenAI's client; all others go into `extra_body`. */
const openAiParameters = [
  'model',
  'training_file',
  'validation_file',
  'suffix',
  'seed',
  'metadata',
  'method',
  'integrations',
];

const toPython: Write = (request, baseUrl) => {
  const entries = Object.entries(request);
  const plain = entries.filter(([name]) => openAiParameters.includes(name));
  // OpenAI's client requires it.
  if (request.training_files) plain.push(['training_file', request.training_files[0]!.file]);
  const extra = Object.fromEntries(entries.filter(([name]) => !openAiParameters.includes(name)));
  const options = [...plain, ...(Object.keys(extra).length > 0 ? [['extra_body', extra] as const] : [])];
  return [
    'import os',
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url=${JSON.stringify(baseUrl)}, api_key=os.environ["GRAFT_API_KEY"])`,
    'job = client.fine_tuning.jobs.create(',
    ...options.map(([name, value]) => `    ${name}=${pythonLiteral(value, 1)},`),
    ')',
    'print(job.id)',
  ].join('\n');
};

function pythonLiteral(value: unknown, depth: number): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value !== 'object') return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const parts = Array.isArray(value)
    ? value.map((each) => pythonLiteral(each, depth + 1))
    : Object.entries(value).map(
        ([name, each]) => `${JSON.stringify(name)}: ${pythonLiteral(each, depth + 1)}`,
      );
  const line = `${open}${parts.join(', ')}${close}`;
  if (line.length <= 80 && !line.includes('\n')) return line;
  const space = '    '.repeat(depth);
  return `${open}\n${parts.map((part) => `${space}    ${part},\n`).join('')}${space}${close}`;
}

function hyperparametersOf({ method }: JobCreateParams): Record<string, unknown> {
  const own = (method as Record<string, unknown> | undefined)?.[method?.type ?? ''];
  return (own as { hyperparameters?: Record<string, unknown> } | undefined)?.hyperparameters ?? {};
}

const toCommand: Write = (request, baseUrl) => {
  const { n_epochs, batch_size, learning_rate_multiplier, beta } = hyperparametersOf(request);
  const method = request.method?.type;
  const options: [string, unknown][] = [
    ['model', request.start_from ?? request.model],
    ...dataArguments(request),
    ['suffix', request.suffix],
    ['seed', request.seed],
    ['method', method === 'supervised' ? undefined : method],
    ['beta', beta],
    ['epochs', n_epochs],
    ['batch-size', batch_size],
    ['learning-rate-multiplier', learning_rate_multiplier],
    ...Object.entries(request.metadata ?? {}).map(([key, value]): [string, unknown] => [
      'metadata',
      `${key}=${value}`,
    ]),
    ['priority', request.priority],
    ['peft', request.start_from ? undefined : request.peft],
    ['training', request.training],
    ['sweep', request.sweep],
  ];
  const present = options.filter(([, value]) => isPresent(value) && value !== 'auto');
  const text = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value));
  const flags = present.map(
    ([name, value]) => `--${name} ${/^[\w.:-]+$/.test(text(value)) ? text(value) : shellQuoted(text(value))}`,
  );
  return [
    `# once: npm install --global ${baseUrl.replace(/\/v1$/, '')}/graft-cli.tgz`,
    `export GRAFT_BASE_URL=${baseUrl}`,
    ['graft jobs create', ...flags].join(' \\\n  '),
  ].join('\n');
};

/** A file each, with its share or its name. */
function dataArguments(request: JobCreateParams): [string, string | null | undefined][] {
  const { training_file, training_files, validation_file, validation_files } = request;
  const isWeighted = request.training?.mix_strategy?.startsWith('interleave');
  const trained = training_files?.map(({ file, weight, epochs }) => {
    const share = (isWeighted ? weight : epochs) ?? 1;
    return share === 1 ? file : `${file}:${share}`;
  });
  const held = validation_files?.map(({ file, name }) => (name ? `${name}=${file}` : file));
  return [
    ...(trained ?? [training_file]).map((file): [string, typeof file] => ['data', file]),
    ...(held ?? [validation_file]).map((file): [string, typeof file] => ['validation', file]),
  ];
}

const forms = [
  ['curl', 'curl', toCurl],
  ['python', 'Python', toPython],
  ['cli', 'CLI', toCommand],
] as const;

const automatic = 'Automatic';

interface Row {
  name: string;
  requested: string;
  used: string;
  reason: string;
}

/** Requested and used options with reasons, and code that creates the same job. */
export function Configuration({ job }: { job: FineTuningJob }) {
  const request = useQuery({
    queryKey: ['request', job.id],
    queryFn: () => graft.fineTuning.jobs.request(job.id),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <section class="stack" aria-label="Configuration">
      <Loaded query={request}>
        {(data) => (
          <>
            <TrainingOptions method={job.method.type} rows={trainingRows(job, data)} />
            <section class="panel">
              <h2>Adapter method</h2>
              <Facts facts={methodFacts(job)} />
            </section>
            <RequestCode request={data} />
          </>
        )}
      </Loaded>
    </section>
  );
}

const TrainingOptions = ({ method, rows }: { method: string; rows: Row[] }) => (
  <section class="panel">
    <h2>Training</h2>
    <Facts facts={[{ name: 'Training method', value: method }]} />
    <OptionTable label="Training" rows={rows.filter(isNotable)} />
    <details>
      <summary>Options with default values</summary>
      <OptionTable
        label="Training options with default values"
        rows={rows.filter((row) => !isNotable(row))}
      />
    </details>
  </section>
);

function RequestCode({ request }: { request: JobCreateParams }) {
  const [{ as }, , field] = useQueryState({ as: 'curl' });
  const [form, , write] = forms.find(([name]) => name === as) ?? forms[0];
  return (
    <section class="panel">
      <div class="row">
        <h2>Code for the same job</h2>
        <Choice
          label="Language"
          {...field('as')}
          value={form}
          options={forms.map(([name, text]) => [name, text] as const)}
        />
      </div>
      <CodeBlock label="Request" text={write(omitEmpty(request), `${location.origin}/v1`)} />
    </section>
  );
}

type Options = Record<string, unknown>;

function trainingRows(job: FineTuningJob, request: JobCreateParams): Row[] {
  const requested: Options = {
    ...hyperparametersOf(request),
    ...withPreference(request.training ?? {}),
    seed: request.seed,
  };
  return optionRows(requested, withPreference(job.training), job.training_reasons ?? {});
}

/** The options with those of `preference` beside the others; beta is a hyperparameter, too. */
const withPreference = ({ preference, ...others }: JobCreateParams['training'] & object): Options => ({
  ...others,
  ...preference,
});

/** Requested options first, each group sorted by name. */
function optionRows(requested: Options, used: Options, reasons: Record<string, string>): Row[] {
  const names = [...new Set([...Object.keys(requested), ...Object.keys(used)])];
  const isRequested = (name: string) => requested[name] !== undefined && requested[name] !== 'auto';
  return names
    .sort((a, b) => Number(isRequested(b)) - Number(isRequested(a)) || a.localeCompare(b))
    .map((name) => ({
      name,
      requested: isRequested(name) ? valueText(requested[name]) : automatic,
      used: valueText(used[name]),
      reason: reasons[name] ?? '',
    }));
}

/** Not a default: requested, or chosen for a reason. */
const isNotable = ({ requested, reason }: Row): boolean => requested !== automatic || reason !== '';

/** Options that are set: not false, null or empty, unless there is a reason for the value. */
const methodFacts = ({ peft, training_reasons: reasons }: FineTuningJob): Fact[] =>
  Object.entries(peft)
    .filter(
      ([name, value]) =>
        reasons?.[name] !== undefined ||
        (value !== null && value !== false && JSON.stringify(value) !== '{}'),
    )
    .map(([name, value]) => ({ name, value: valueText(value), note: reasons?.[name] }));

const OptionTable = ({ label, rows }: { label: string; rows: Row[] }) => (
  <Table
    label={label}
    minWidth="52rem"
    rows={rows}
    rowKey={({ name }) => name}
    columns={[
      { head: 'Option', width: '17rem', cell: ({ name }) => <code>{name}</code> },
      {
        head: 'Requested',
        width: '11rem',
        cell: ({ requested }) =>
          requested === automatic ? <span class="soft">{requested}</span> : requested,
      },
      { head: 'Used', width: '11rem', cell: ({ used }) => used },
      { head: 'Reason', cell: ({ reason }) => <span class="small soft">{reason}</span> },
    ]}
  />
);
