/** A job request as code. The code reads the API key from the environment. */
import type { JobCreateParams } from '@graft/client';
import { isPresent } from '../../text/numbers.ts';
import { shellQuoted } from '../../text/shell.ts';

type Write = (request: JobCreateParams, baseUrl: string) => string;

/** The request without null, empty objects and empty lists. */
export function omitEmpty(request: JobCreateParams): JobCreateParams {
  const omit = (value: unknown): unknown => {
    if (Array.isArray(value) || typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([name, each]) => [name, omit(each)] as const);
    return Object.fromEntries(entries.filter(([, each]) => isPresent(each)));
  };
  return omit(request) as JobCreateParams;
}

export const toCurl: Write = (request, baseUrl) =>
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

export const toPython: Write = (request, baseUrl) => {
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

/** The hyperparameters of the request's method. */
export function hyperparametersOf({ method }: JobCreateParams): Record<string, unknown> {
  const own = (method as Record<string, unknown> | undefined)?.[method?.type ?? ''];
  return (own as { hyperparameters?: Record<string, unknown> } | undefined)?.hyperparameters ?? {};
}

export const toCommand: Write = (request, baseUrl) => {
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
