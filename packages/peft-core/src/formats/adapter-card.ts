import type { PeftConfig } from '../config.ts';

/** What a model card tells besides the config. Everything is optional; what is unknown is not mentioned. */
export interface AdapterCard {
  /** The model's name as users call it. */
  modelName?: string | null;
  steps?: number | null;
  trainedTokens?: number | null;
  finalLoss?: number | null;
  validationLoss?: number | null;
}

/** The adapter's README.md: the Hub's front matter, how it was made, how to load it in HF PEFT. */
export function adapterCard(peft: PeftConfig, baseModel: string | null, card: AdapterCard): string {
  const base = baseModel ?? 'the base model';
  return `${frontMatter(peft, baseModel)}
# ${oneLine(card.modelName ?? `${methodName(peft)} adapter for ${base}`)}

A ${methodName(peft)} adapter for \`${oneLine(base)}\`, trained with Graft. The files are HF PEFT's.

${rows([
  ['method', peft.peft_type],
  ['rank', peft.r],
  ['alpha', peft.lora_alpha],
  ['target modules', targets(peft)],
  ['optimizer steps', card.steps],
  ['trained tokens', card.trainedTokens],
  ['training loss at the end', card.finalLoss],
  ['validation loss', card.validationLoss],
])}

## Use it in Python

\`\`\`python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = ${JSON.stringify(base)}  # a Hub id or a folder
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), ".")  # the folder of this file
\`\`\`
`;
}

/** YAML, in which every JSON string is a valid string. */
function frontMatter(peft: PeftConfig, baseModel: string | null): string {
  const tags = [
    ...(baseModel ? [`base_model:adapter:${baseModel}`] : []),
    peft.peft_type.toLowerCase(),
    'graft',
  ];
  return [
    '---',
    ...(baseModel ? [`base_model: ${JSON.stringify(baseModel)}`] : []),
    'library_name: peft',
    'pipeline_tag: text-generation',
    'tags:',
    ...tags.map((tag) => `- ${JSON.stringify(tag)}`),
    '---',
  ].join('\n');
}

function methodName(peft: PeftConfig): string {
  return peft.peft_type === 'LORA' ? 'LoRA' : peft.peft_type;
}

function targets({ target_modules: modules }: PeftConfig): string | null {
  if (modules === null) return null;
  return Array.isArray(modules) ? modules.join(', ') : modules;
}

function rows(values: [label: string, value: string | number | null | undefined][]): string {
  const known = values.filter(([, value]) => value !== null && value !== undefined);
  const lines = known.map(
    ([label, value]) => `| ${label} | ${typeof value === 'number' ? figure(value) : cell(value!)} |`,
  );
  return ['| | |', '| --- | --- |', ...lines].join('\n');
}

function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

function cell(text: string): string {
  return `\`${oneLine(text).replaceAll('|', '\\|')}\``;
}

function oneLine(text: string): string {
  return text.replaceAll(/[`\r\n]+/g, ' ');
}
