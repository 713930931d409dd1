import { type PeftConfig, type SweepTrial, trialName } from '../config/index.ts';
import { type TemplateKwargs, templateKwargsFault } from '../schema/template-kwargs.ts';
import { methodOf } from '../tuners/methods.ts';

/** The content of a model card besides the config. Unknown figures are omitted. */
export interface AdapterCard {
  /** The class of transformers that loads the base model for the adapter's task (`autoClass`). */
  modelClass: string;
  steps?: number | null;
  trainedTokens?: number | null;
  finalLoss?: number | null;
  validationLoss?: number | null;
  labels?: readonly string[] | null;
  /** True if a text may have several classes. */
  severalLabels?: boolean;
  /** SHA-256 (hex) of the base model's weights. */
  baseDigest?: string | null;
  /** Variables of the chat template in the training on conversations. */
  templateKwargs?: TemplateKwargs | null;
  /** Prompts of texts to embed, by name. */
  prompts?: Readonly<Record<string, string>> | null;
  quantised?: QuantisedBase | null;
  trials?: readonly CardTrial[] | null;
  /** The adapters that it was combined from, and how; it was not trained itself. */
  combined?: { type: string; sources: readonly { name: string; weight: number }[] } | null;
}

/** The quantised base that an adapter was trained on. Losses are in nats per labelled token; null if unknown. */
export interface QuantisedBase {
  base_dtype: 'int8' | 'nf4';
  quantised_validation_loss: number | null;
  /** The adapter's loss on the original base, on which it is served. */
  validation_loss: number | null;
}

type CardTrial = SweepTrial<{ learning_rate: number }> & {
  trial: number;
  status: string;
  step: number;
  /** Validation loss at each of these steps; null: NaN or infinite. */
  rungs: readonly { step: number; loss: number | null }[];
};

/** The front matter's field with the digest of the base model's weights. PEFT, adapters and the Hub ignore unknown keys. */
const digestKey = 'base_model_sha256';

/** The front matter's field with the variables of the chat template, as JSON, which is also YAML. */
const kwargsKey = 'chat_template_kwargs';

/** SHA-256 (hex) of the weights that an adapter was trained on, from its README.md; null if it has none. */
export function baseDigestIn(card: string): string | null {
  return new RegExp(`^${digestKey}: *"?([0-9a-f]{64})"? *\\r?$`, 'm').exec(frontOf(card))?.[1] ?? null;
}

/** Variables of the chat template in an adapter's training, from its README.md; empty if it has none that are valid. */
export function templateKwargsIn(card: string): TemplateKwargs {
  const [, text = '{}'] = new RegExp(`^${kwargsKey}: *(\\{.*\\}) *\\r?$`, 'm').exec(frontOf(card)) ?? [];
  try {
    const value: unknown = JSON.parse(text);
    return templateKwargsFault(value) === null ? (value as TemplateKwargs) : {};
  } catch {
    return {};
  }
}

/** transformers' name of a classifier whose texts may have several classes, as the card of an adapter shows it. */
const severalLabelsType = 'multi_label_classification';

/** Returns true if a classifier's texts may have several classes, by its README.md. */
export const severalLabelsIn = (card: string): boolean =>
  new RegExp(`^problem_type: *"?${severalLabelsType}"? *\\r?$`, 'm').test(frontOf(card)) ||
  card.includes(`problem_type="${severalLabelsType}"`);

/** The quantised base that an adapter was trained on, from its README.md; null if it names none. */
export function quantisedBaseIn(card: string): QuantisedBase | null {
  const front = frontOf(card);
  const field = (name: string) => new RegExp(`^${name}: *"?([^"\\s]+)"? *\\r?$`, 'm').exec(front)?.[1];
  const number = (name: QuantisedLoss) => {
    const value = Number(field(name) ?? Number.NaN);
    return Number.isFinite(value) ? value : null;
  };
  const base_dtype = field('base_dtype');
  if (base_dtype !== 'int8' && base_dtype !== 'nf4') return null;
  return {
    base_dtype,
    quantised_validation_loss: number('quantised_validation_loss'),
    validation_loss: number('validation_loss'),
  };
}

type QuantisedLoss = Exclude<keyof QuantisedBase, 'base_dtype'>;

/** Adds the validation loss on the original base to the card of an adapter trained on a quantised base. Other cards are unchanged. */
export function withServedLoss(card: string, loss: number): string {
  const quantised = quantisedBaseIn(card);
  if (!quantised || quantised.validation_loss !== null) return card;
  const front = quantisedFields(quantised).join('\n');
  const row = `\n| ${quantisedLossRow(quantised)} |`;
  const fields = quantisedFields({ ...quantised, validation_loss: loss }).join('\n');
  return card
    .replace(front, () => fields)
    .replace(row, () => `\n| validation loss | ${figure(loss)} |${row}`);
}

const quantisedLossRow = ({ base_dtype }: QuantisedBase) => `validation loss on the ${base_dtype} base`;

/** Fields of the front matter. */
function quantisedFields(quantised: QuantisedBase): string[] {
  const { base_dtype, quantised_validation_loss: own, validation_loss: served } = quantised;
  return [
    `base_dtype: ${JSON.stringify(base_dtype)}`,
    ...(own === null ? [] : [`quantised_validation_loss: ${own}`]),
    ...(served === null ? [] : [`validation_loss: ${served}`]),
  ];
}

const frontOf = (card: string): string => /^---\r?\n([\s\S]*?)\r?\n---/.exec(card)?.[1] ?? '';

/** The adapter's README.md: the Hub's front matter, the training's figures, and how to load the adapter in HF PEFT. */
export function adapterCard(peft: PeftConfig, baseModel: string | null, card: AdapterCard): string {
  const base = baseModel ?? 'the base model';
  return `${frontMatter(peft, baseModel, card)}
# ${oneLine(`${methodName(peft)} adapter for ${base}`)}

A ${methodName(peft)} adapter for \`${oneLine(base)}\`, ${card.combined ? 'combined' : 'trained'} with Graft.${filesOf(peft)}

${rows([
  ['method', peft.peft_type],
  ['task', peft.task_type],
  ...methodOptions(peft),
  ['optimizer steps', card.steps],
  ['trained tokens', card.trainedTokens],
  ['training loss at the end', card.finalLoss],
  ['base while training', card.quantised?.base_dtype],
  ['validation loss', card.quantised ? card.quantised.validation_loss : card.validationLoss],
  ...(card.quantised
    ? [
        [quantisedLossRow(card.quantised), card.quantised.quantised_validation_loss] as [
          string,
          number | null,
        ],
      ]
    : []),
  ['combined by', card.combined?.type],
  ...(card.combined?.sources ?? []).map(({ name, weight }): [string, string] => [
    'combined from',
    `${name} × ${weight}`,
  ]),
  ['classes', card.labels ? `${card.labels.length}: ${card.labels.slice(0, 20).join(', ')}` : null],
])}

${card.trials ? `${sweepOf(card.trials)}\n\n` : ''}${adapterUsage(peft, base, card)}${variablesUsage(card.templateKwargs ?? {})}${promptsUsage(base, card.prompts ?? {})}`;
}

/** A table of all trials with the validation losses at which they were compared. */
function sweepOf(trials: readonly CardTrial[]): string {
  const ends = [...new Set(trials.flatMap(({ rungs }) => rungs.map(({ step }) => step)))].sort(
    (a, b) => a - b,
  );
  const line = (cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
  const lines = trials.map((each) => {
    const losses = ends.map((end) => {
      const rung = each.rungs.find(({ step }) => step === end);
      return rung ? (rung.loss?.toPrecision(4) ?? 'not a number') : '';
    });
    return line([each.trial, oneLine(trialName(each)), each.step, ...losses, each.status]);
  });
  const header = ['trial', 'what', 'steps', ...ends.map((end) => `loss at ${end}`), ''];
  return [
    '## The sweep it won',
    '',
    'Validation losses of each trial. After each comparison the best by metric_for_best_model continued; the others were stopped.',
    '',
    line(header),
    line(header.map(() => '---')),
    ...lines,
  ].join('\n');
}

/** How to load an adapter in Python, as Markdown. `from`: its folder, or its repository on the Hub. */
export function adapterUsage(
  peft: PeftConfig,
  base: string,
  { modelClass: model, labels, severalLabels }: Pick<AdapterCard, 'modelClass' | 'labels' | 'severalLabels'>,
  from = '.',
): string {
  const place = `${JSON.stringify(from)}`;
  const about = from === '.' ? '  # the folder of this file' : '';
  const { library } = methodOf(peft);
  const kind = severalLabels ? `, problem_type="${severalLabelsType}"` : '';
  const load = `${model}.from_pretrained(base${labels ? `, num_labels=${labels.length}${kind}` : ''})`;
  if (library === 'HF PEFT')
    return `## Use it in Python

\`\`\`python
from peft import PeftModel
from transformers import ${model}, AutoTokenizer

base = ${JSON.stringify(base)}  # a Hub id or a folder; Graft's export "merged" has its weights
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(${load}, ${place})${about}
\`\`\`
`;
  if (library === 'adapters')
    return `## Use it in Python

\`\`\`python
import adapters
from transformers import ${model}, AutoTokenizer

base = ${JSON.stringify(base)}  # a Hub id or a folder; Graft's export "merged" has its weights
tokenizer = AutoTokenizer.from_pretrained(base)
model = ${load}
adapters.init(model)
model.load_adapter(${place}, use_safetensors=True, set_active=True)${about}
\`\`\`
`;
  return `## Use it

\`graft merge\` writes it into the base model as a plain Hugging Face folder, which every library loads.
`;
}

function filesOf(peft: PeftConfig): string {
  const { library } = methodOf(peft);
  return library ? ` The files are those of ${library}.` : '';
}

/** Front matter in YAML, where every JSON string is a valid string. */
function frontMatter(peft: PeftConfig, baseModel: string | null, card: AdapterCard): string {
  const tags = [
    ...(baseModel ? [`base_model:adapter:${baseModel}`] : []),
    peft.peft_type.toLowerCase(),
    'graft',
  ];
  return [
    '---',
    ...(baseModel ? [`base_model: ${JSON.stringify(baseModel)}`] : []),
    ...readFields(card),
    ...libraryTag(peft),
    `pipeline_tag: ${pipelines[peft.task_type]}`,
    'tags:',
    ...tags.map((tag) => `- ${JSON.stringify(tag)}`),
    '---',
  ].join('\n');
}

/** Lines of the front matter that Graft reads when it opens an adapter. */
function readFields({
  baseDigest,
  templateKwargs,
  quantised,
  severalLabels,
}: Omit<AdapterCard, 'modelClass'>): string[] {
  return [
    ...(baseDigest ? [`${digestKey}: ${JSON.stringify(baseDigest)}`] : []),
    ...(quantised ? quantisedFields(quantised) : []),
    ...(severalLabels ? [`problem_type: ${severalLabelsType}`] : []),
    ...(templateKwargs && Object.keys(templateKwargs).length > 0
      ? [`${kwargsKey}: ${JSON.stringify(templateKwargs)}`]
      : []),
  ];
}

/**
 * The lines of an adapter's README.md that Graft reads when it opens the adapter, for a README.md that is published. Variables of the chat
 * template remain if they are numbers, switches or null: texts may be private.
 */
export const publicFieldsFrom = (card: string): string[] =>
  readFields({
    baseDigest: baseDigestIn(card),
    templateKwargs: publicVariables(templateKwargsIn(card)),
    quantised: quantisedBaseIn(card),
    severalLabels: severalLabelsIn(card),
  });

/** The variables of a chat template whose values are numbers, switches or null: texts may be private. */
export const publicVariables = (variables: TemplateKwargs): TemplateKwargs =>
  Object.fromEntries(
    Object.entries(variables).filter(
      ([, value]) => value === null || typeof value === 'number' || typeof value === 'boolean',
    ),
  );

/** How to send the variables of the chat template that an adapter was trained with, as Markdown; empty without any. */
export function variablesUsage(variables: TemplateKwargs): string {
  if (Object.keys(variables).length === 0) return '';
  return `
## Variables of the chat template

The adapter was trained with \`chat_template_kwargs\` ${code(JSON.stringify(variables))}. Graft sends them with each chat. Elsewhere, pass them to
\`tokenizer.apply_chat_template\` in Python, and send them as \`chat_template_kwargs\` to vLLM, SGLang and llama-server.
`;
}

/** How to embed texts with the prompts of the adapter, as Markdown; empty without any. */
function promptsUsage(base: string, prompts: Readonly<Record<string, string>>): string {
  const names = Object.keys(prompts);
  if (names.length === 0) return '';
  return `
## Prompts

Texts were embedded after the prompts in \`config_sentence_transformers.json\`: ${names.map((name) => `\`${oneLine(name)}\` ${code(JSON.stringify(prompts[name]))}`).join(', ')}.
Graft applies one by \`prompt_name\` of \`POST /v1/embeddings\`, and an export as \`merged\` has them. With sentence-transformers,
if the base model has a modules.json (an export as \`merged\` always has one):

\`\`\`python
import json
from sentence_transformers import SentenceTransformer

prompts = json.load(open("config_sentence_transformers.json"))["prompts"]
model = SentenceTransformer(${JSON.stringify(base)}, prompts=prompts)
model.load_adapter(".")  # the folder of this file
vectors = model.encode(["…"], prompt_name=${JSON.stringify(names[0])})
\`\`\`
`;
}

/** A text as code of Markdown, whatever backticks it has. */
function code(text: string): string {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return `${fence} ${text} ${fence}`;
}

/** The Hub's name of a task. */
export const pipelines: Record<PeftConfig['task_type'], string> = {
  CAUSAL_LM: 'text-generation',
  SEQ_CLS: 'text-classification',
  TOKEN_CLS: 'token-classification',
  SEQ_2_SEQ_LM: 'text2text-generation',
  FEATURE_EXTRACTION: 'feature-extraction',
};

/** The Hub's name of the library that reads an adapter of this method, as a line of front matter. */
export function libraryTag(peft: PeftConfig): string[] {
  const { library } = methodOf(peft);
  return library ? [`library_name: ${library === 'HF PEFT' ? 'peft' : 'adapter-transformers'}`] : [];
}

export function methodName(peft: PeftConfig): string {
  return methodOf(peft).title;
}

/** The method's options that are neither null, false nor empty, with readable names. */
export function methodOptions(peft: PeftConfig): [string, string | number][] {
  const shared = ['peft_type', 'task_type'];
  return Object.entries(peft).flatMap(([name, value]): [string, string | number][] => {
    if (shared.includes(name) || value === null || value === false) return [];
    const label = name.replaceAll('_', ' ');
    if (typeof value === 'object') {
      const text = Array.isArray(value) ? value.slice(0, 20).join(', ') : JSON.stringify(value).slice(0, 200);
      return text === '' || text === '{}' ? [] : [[label, text]];
    }
    return [[label, typeof value === 'number' ? value : String(value)]];
  });
}

/** A table of Markdown. Texts become code, so that nothing in them is read as Markdown or HTML; null and undefined are left out. */
export function rows(values: [label: string, value: string | number | null | undefined][]): string {
  const known = values.filter(([, value]) => value !== null && value !== undefined);
  const lines = known.map(
    ([label, value]) => `| ${label} | ${typeof value === 'number' ? figure(value) : cell(value!)} |`,
  );
  return ['| | |', '| --- | --- |', ...lines].join('\n');
}

function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

/** A backslash before `|` would make that of its escape a text, and `|` the end of the cell, where code ends (GFM, tables): `¦` replaces it. */
function cell(text: string): string {
  return `\`${oneLine(text).replace(/(\\?)\|/g, (_, before) => (before ? '\\¦' : '\\|'))}\``;
}

function oneLine(text: string): string {
  return text.replaceAll(/[`\r\n]+/g, ' ');
}
