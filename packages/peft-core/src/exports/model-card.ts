import {
  adapterUsage,
  methodName,
  methodOptions,
  pipelines,
  publicFieldsFrom,
  publicVariables,
  rows,
  templateKwargsIn,
  variablesUsage,
} from '../adapter-files/adapter-card.ts';
import { ResolvedTrainingSchema } from '../config/index.ts';
import type { PeftConfig } from '../tuners/methods.ts';
import type { ExportFormat } from './export-format.ts';

/**
 * Content of a model card. It has no content of training data and no names of files, which may be private: only digests and counts. Of training
 * options only numbers, switches and values from a fixed list are shown, since texts may be prompts, templates or names of validation sets.
 */
export interface ModelCard {
  /** Null: files of another library, or of an unknown format. */
  format: ExportFormat | null;
  /** Those of the format. */
  options: Record<string, unknown>;
  /** `owner/name` on the Hub. */
  repository: string;
  base: {
    name: string;
    /** Id on the Hub; null: the base is not there, or nothing is known. */
    hub: string | null;
    /** SHA-256 (hex) of its weights. */
    digest: string | null;
    /** The Hub's name of its licence. */
    license: string | null;
    /** The class of transformers that loads it for the adapter's task (`autoClass`). */
    modelClass: string;
  };
  config: PeftConfig | null;
  /** Resolved training options. */
  training: Record<string, unknown>;
  /** SHA-256 (hex) of each file, and its number of examples. */
  data: readonly { use: 'training' | 'validation'; sha256: string; examples: number | null }[];
  /** Labels are Graft's own; null and undefined are left out. */
  figures: readonly [label: string, value: number | null | undefined][];
  /** Changes that the export made to fit the format. */
  notes: readonly string[];
  /** README.md of the adapter. What Graft reads from it is kept. */
  adapterReadme: string | null;
  /** Version of Graft. */
  graft: string | null;
}

/** The model card of published files: README.md with the front matter that the Hub reads. Every name in it is treated as hostile. */
export function modelCard(card: ModelCard): string {
  const { format, config, base, repository, notes } = card;
  const name = repository.split('/')[1] ?? repository;
  const method = config ? methodName(config) : 'adapter';
  const what = format ? format.title : `${method} files`;
  const usage = usageOf(card);
  return [
    frontMatter(card),
    `# ${escaped(name)}`,
    `${escaped(what)}, made with Graft from the base model ${code(base.name)}${config ? ` and an adapter trained with the method ${escaped(method)}` : ''}.`,
    '## Origin',
    rows([
      ['base model', base.name],
      ['SHA-256 of its weights', base.digest],
      ['licence of the base model', base.license],
      ['format', format?.name],
      ...optionRows(card.options, format?.options.properties ?? {}),
      ['Graft', card.graft],
    ]),
    ...section('Training', [
      ...(config
        ? [['method', config.peft_type] as Row, ['task', config.task_type] as Row, ...methodOptions(config)]
        : []),
      ...optionRows(card.training, ResolvedTrainingSchema.properties),
    ]),
    ...section('Data', dataRows(card.data)),
    ...section('Results', card.figures),
    ...(notes.length > 0
      ? ['## Changes for this format', notes.map((note) => `- ${escaped(note)}`).join('\n')]
      : []),
    ...(usage === '' ? [] : [usage]),
    ...variablesOf(card),
  ]
    .join('\n\n')
    .concat('\n');
}

type Row = [label: string, value: string | number | null | undefined];

function section(title: string, all: readonly Row[]): string[] {
  const known = all.filter(([, value]) => value !== null && value !== undefined);
  return known.length === 0 ? [] : [`## ${title}`, rows(known.map(([label, value]) => [label, value]))];
}

/** Numbers, switches that are on, and texts that the option's schema lists. */
function optionRows(options: Record<string, unknown>, schemas: Record<string, object>): Row[] {
  return Object.entries(options).flatMap(([name, value]): Row[] => {
    if (!/^[a-z][a-z0-9_]{0,40}$/.test(name)) return [];
    const label = name.replaceAll('_', ' ');
    if (typeof value === 'number' && Number.isFinite(value)) return [[label, value]];
    if (value === true) return [[label, 'true']];
    const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
    return typeof value === 'string' && isListed(value, schema) ? [[label, value]] : [];
  });
}

/** Checks whether a schema, or one of its alternatives, is a list with this value. */
function isListed(value: string, schema: { enum?: unknown[]; anyOf?: object[] } = {}): boolean {
  return schema.enum?.includes(value) || (schema.anyOf ?? []).some((each) => isListed(value, each));
}

const dataRows = (data: ModelCard['data']): Row[] =>
  data.map(({ use, sha256, examples }) => [
    `${use} data${examples === null ? '' : `, ${examples} examples`}`,
    `SHA-256 ${sha256}`,
  ]);

function usageOf({ format, config, base, repository }: ModelCard): string {
  const { modelClass } = base;
  const name = oneLine(base.hub ?? base.name);
  // Files of another library than that of the format.
  const text = format
    ? format.card.usage({ repository, base: name, modelClass, config })
    : config
      ? adapterUsage(config, name, { modelClass }, repository)
      : '';
  return text === '' || text.startsWith('## ') ? text.trimEnd() : `## Use it\n\n${text}`;
}

/** The variables to send to an adapter. Exported models have them in their template. */
function variablesOf({ format, options, adapterReadme }: ModelCard): string[] {
  if (!adapterReadme || (format && format.card.relation(options) !== 'adapter')) return [];
  const text = variablesUsage(publicVariables(templateKwargsIn(adapterReadme))).trim();
  return text === '' ? [] : [text];
}

/** Front matter in YAML. Source: huggingface.co/docs/hub/model-cards. Training data is private, so `datasets` is left out. */
function frontMatter({ format, options, base, config, adapterReadme }: ModelCard): string {
  const license = base.license && /^[a-z0-9][a-z0-9.+-]{0,60}$/.test(base.license) ? base.license : null;
  // The Hub refuses a card that names a base model by a path.
  const hub = base.hub && hubId.test(base.hub) ? base.hub : null;
  const relation = format ? format.card.relation(options) : 'adapter';
  const tags = ['graft', ...(config ? [config.peft_type.toLowerCase()] : [])];
  return [
    '---',
    ...(hub ? [`base_model: ${yaml(hub)}`, `base_model_relation: ${relation}`] : []),
    ...(license ? [`license: ${yaml(license)}`] : []),
    ...(format?.card.library(config) ?? []),
    ...(config ? [`pipeline_tag: ${pipelines[config.task_type]}`] : []),
    ...(adapterReadme && relation === 'adapter' ? publicFieldsFrom(adapterReadme) : []),
    'tags:',
    ...tags.map((tag) => `- ${yaml(tag)}`),
    '---',
  ].join('\n');
}

const hubId = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;

/** A text as a string of YAML: JSON, with escapes for what YAML takes as the end of a line or does not permit. */
function yaml(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A text without meaning in Markdown: any punctuation may have a backslash. */
function escaped(text: string): string {
  return oneLine(text).replace(/[!-/:-@[-`{-~]/g, (char) =>
    ".,;:'%=/?".includes(char) ? char : `\\${char}`,
  );
}

const code = (text: string): string => `\`${oneLine(text).replaceAll('`', "'")}\``;

const oneLine = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .trim()
    .slice(0, 500);
