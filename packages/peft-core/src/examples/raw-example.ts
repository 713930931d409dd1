import { isRecord, show } from '../schema/check-fields.ts';
import { chatMessages, type TrainingMessage } from './chat-line.ts';

/** A class by its name, or by its number from 0. */
export type Label = string | number;

/** One line of a training file, checked, and its number from 1. */
export type RawExample =
  | { format: 'chat'; line: number; messages: TrainingMessage[] }
  | { format: 'prompt_completion'; line: number; prompt: string; completion: string }
  | { format: 'text'; line: number; text: string }
  | { format: 'text_target'; line: number; text: string; target: string }
  | { format: 'classification'; line: number; text: string; label: Label }
  /** Every label that a text has; none is one, too. */
  | { format: 'multi_label_classification'; line: number; text: string; labels: Label[] }
  /** A label for each word; null where none is wanted, written −100. */
  | { format: 'token_classification'; line: number; words: string[]; labels: (Label | null)[] }
  /** `texts`: anchor, positive and, where there is one, negative. */
  | { format: 'pairs'; line: number; texts: string[] }
  /** How alike two texts are, from −1 to 1. */
  | { format: 'scored_pairs'; line: number; texts: [string, string]; score: number };

export type DatasetFormat = RawExample['format'];

/** Fields that would change what is learnt, and are refused. Other columns, such as an id, are ignored. */
const UNSUPPORTED_KEYS: Record<string, string> = {
  tools: 'tools',
  functions: 'functions',
  parallel_tool_calls: 'tools',
  preferred_output: 'preference (DPO) data',
  non_preferred_output: 'preference (DPO) data',
};

type Line = Record<string, unknown>;

/** Kinds of line, told apart by the fields that only they have. */
const KINDS: { fields: string[]; called: string; read(value: Line, line: number): RawExample | string }[] = [
  { fields: ['messages'], called: '"messages"', read: chat },
  { fields: ['prompt', 'completion'], called: '"prompt" and "completion"', read: promptCompletion },
  {
    fields: ['text', 'label', 'target'],
    called: '"text" (with a "label" or "labels" to classify, or a "target" to turn it into)',
    read: text,
  },
  { fields: ['tokens', 'labels'], called: '"tokens" and "labels"', read: taggedWords },
  { fields: ['anchor', 'text_a', 'positive'], called: '"anchor" and "positive"', read: pair },
  { fields: ['sentence1', 'sentence2'], called: '"sentence1", "sentence2" and "score"', read: scoredPair },
];

/** Checks one line's JSON. Returns the example, or every fault of the line in one sentence. */
export function parseExample(value: unknown, line: number): RawExample | string {
  if (!isRecord(value)) return `must be a JSON object, got ${show(value)}`;
  const unsupported = Object.keys(value).find((key) => Object.hasOwn(UNSUPPORTED_KEYS, key));
  if (unsupported) return `"${unsupported}": ${UNSUPPORTED_KEYS[unsupported]} is not supported`;
  // Beside a text, labels are of the whole.
  const has = (field: string) =>
    value[field] !== undefined && !(field === 'labels' && value.text !== undefined);
  const [kind, ...more] = KINDS.filter(({ fields }) => fields.some(has));
  const called = (kinds: typeof KINDS) => kinds.map((each) => each.called).join(', or ');
  if (!kind) return `holds no example; give ${called(KINDS)}`;
  if (more.length > 0) return `holds several kinds of example; give either ${called([kind, ...more])}`;
  return kind.read(value, line);
}

function chat({ messages }: Line, line: number): RawExample | string {
  const checked = chatMessages(messages);
  return typeof checked === 'string' ? checked : { format: 'chat', line, messages: checked };
}

function promptCompletion(value: Line, line: number): RawExample | string {
  const { prompt } = value;
  if (typeof prompt !== 'string') return `"prompt" must be a string, got ${show(prompt)}`;
  const fault = textFault(value, 'completion');
  return fault ?? { format: 'prompt_completion', line, prompt, completion: value.completion as string };
}

function text(value: Line, line: number): RawExample | string {
  const fault = textFault(value, 'text');
  if (fault) return fault;
  const common = { line, text: value.text as string };
  const { label, labels, target } = value;
  if (labels !== undefined) {
    if (label !== undefined || target !== undefined)
      return `has both "labels" and "${label === undefined ? 'target' : 'label'}"; give one`;
    const fault = labelsFault(labels);
    return fault ?? { format: 'multi_label_classification', ...common, labels: labels as Label[] };
  }
  if (target !== undefined) {
    if (label !== undefined) return 'has both "label" and "target"; give one';
    const fault = textFault(value, 'target');
    return fault ?? { format: 'text_target', ...common, target: target as string };
  }
  if (label === undefined) return { format: 'text', ...common };
  return isLabel(label)
    ? { format: 'classification', ...common, label }
    : `"label" must be a name or a whole number from 0, got ${show(label)}`;
}

function labelsFault(labels: unknown): string | null {
  if (!Array.isArray(labels))
    return `"labels" must be a list of the labels that the text has, got ${show(labels)}`;
  const bad = labels.findIndex((each) => !isLabel(each));
  if (bad !== -1) return `labels[${bad}] must be a name or a whole number from 0, got ${show(labels[bad])}`;
  const twice = labels.find((each, i) => labels.indexOf(each) !== i);
  return twice === undefined
    ? null
    : `"labels" has ${show(twice)} twice; it lists the labels that the text has, each once, not a 0 or 1 for every label`;
}

/** What transformers' losses leave out. */
const IGNORED = -100;

function taggedWords({ tokens, labels }: Line, line: number): RawExample | string {
  if (!Array.isArray(tokens) || tokens.length === 0) return '"tokens" must be a list of at least one word';
  if (!Array.isArray(labels) || labels.length !== tokens.length)
    return `"labels" must be a list of ${tokens.length} labels, one for each of "tokens"`;
  const word = tokens.findIndex((each) => typeof each !== 'string' || each.trim() === '');
  if (word !== -1) return `tokens[${word}] must be a word, got ${show(tokens[word])}`;
  const tag = labels.findIndex((each) => each !== IGNORED && !isLabel(each));
  if (tag !== -1)
    return `labels[${tag}] must be a name, a whole number from 0, or ${IGNORED} for none, got ${show(labels[tag])}`;
  if (labels.every((each) => each === IGNORED)) return 'has no label to learn';
  return {
    format: 'token_classification',
    line,
    words: tokens,
    labels: labels.map((each) => (each === IGNORED ? null : each)),
  };
}

function pair(value: Line, line: number): RawExample | string {
  if (value.anchor !== undefined && value.text_a !== undefined)
    return 'has both "anchor" and "text_a", which mean the same';
  const first = value.text_a === undefined ? 'anchor' : 'text_a';
  const fields = [first, 'positive', ...(value.negative === undefined ? [] : ['negative'])];
  const fault = fields.map((field) => textFault(value, field)).find((each) => each !== null);
  return fault ?? { format: 'pairs', line, texts: fields.map((field) => value[field] as string) };
}

function scoredPair(value: Line, line: number): RawExample | string {
  const fault = textFault(value, 'sentence1') ?? textFault(value, 'sentence2');
  if (fault) return fault;
  const { sentence1, sentence2, score } = value;
  if (typeof score !== 'number' || !(score >= -1 && score <= 1))
    return `"score" must be a number from -1 to 1, the cosine that is wanted, got ${show(score)}`;
  return { format: 'scored_pairs', line, texts: [sentence1 as string, sentence2 as string], score };
}

/** Characters of what a language model learns to write in an example. */
export function answerLength(example: RawExample): number {
  if (example.format === 'chat')
    return example.messages.reduce(
      (sum, { role, weight, content }) => sum + (role === 'assistant' && weight !== 0 ? content.length : 0),
      0,
    );
  if (example.format === 'prompt_completion') return example.completion.length;
  if (example.format === 'text_target') return example.target.length;
  return example.format === 'text' ? example.text.length : 0;
}

/** What is wrong with an example's texts: half of a pair of surrogates is no character, and no label can hold U+0000. */
export function unstorableText({ line: _, format, ...fields }: RawExample): string | null {
  for (const [field, value] of Object.entries(fields)) {
    const texts = [value].flat().map((part) => (typeof part === 'object' && part ? part.content : part));
    for (const text of texts) {
      if (typeof text !== 'string') continue;
      if (/\p{Surrogate}/u.test(text)) return `"${field}" holds a lone surrogate, which no UTF-8 can hold`;
      if (field.startsWith('label') && text.includes('\0')) return `"${field}" holds U+0000`;
    }
  }
  return null;
}

function textFault(value: Line, key: string): string | null {
  if (typeof value[key] !== 'string') return `"${key}" must be a string, got ${show(value[key])}`;
  return value[key] === '' ? `"${key}" is empty` : null;
}

function isLabel(value: unknown): value is Label {
  if (typeof value === 'string') return value !== '';
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
