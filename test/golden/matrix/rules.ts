import type { ArchitectureRow } from './architectures.ts';
import type { MethodRow } from './methods.ts';

/** One architecture of each kind: pre-norm, with biases and Conv1D, post-norm with a classifier, encoder and decoder. */
const variantArchitectures = ['llama', 'gpt2', 'bert SEQ_CLS', 't5'];
/** One method of each kind: inside a layer, before the text, beside a sublayer. */
const sampledMethods = ['lora', 'prompt_tuning', 'seq_bn'];

/** The architecture whose experts have a separate loss: methods on experts are tried there, too. */
const balanced = 'qwen3_moe-balanced';

/** Why whole groups of cells, that could be, are not tried. */
export interface Rule {
  /** The content of such a cell in the table. */
  mark: string;
  leavesOut(method: MethodRow, architecture: ArchitectureRow): boolean;
  /** Text of the rule for the rows that it is about. */
  reason(methods: readonly MethodRow[], architectures: readonly ArchitectureRow[]): string;
}

const list = (names: string[]) => names.map((name) => (name.includes(',') ? `“${name}”` : name)).join(', ');

export const rules: Rule[] = [
  {
    mark: '·',
    leavesOut: (method, { names, sampled, name }) =>
      method.onExperts === true && (!names.experts || (sampled === true && name !== balanced)),
    reason: (methods) =>
      `${list(methods.filter(({ onExperts }) => onExperts).map(({ name }) => name))}: for architectures with experts.`,
  },
  {
    mark: '≈',
    leavesOut: (method, { name }) => method.only !== undefined && !method.only.includes(name),
    reason: (methods) =>
      `${list(methods.filter(({ only }) => only).map(({ name }) => name))}: they change weights of linear layers and embeddings, which all architectures share; tried on layers of every kind, other options of a method on llama and bert SEQ_CLS.`,
  },
  {
    mark: '–',
    leavesOut: (method, { name, sampled }) =>
      !sampled && method.variant === true && !variantArchitectures.includes(name),
    reason: (methods) =>
      `${list(methods.filter(({ variant }) => variant).map(({ name }) => name))}: other options of methods that are tried on every architecture; these are tried on one architecture of each kind, ${list(variantArchitectures)}. What they change is in the tuner, which all architectures share.`,
  },
  {
    mark: '=',
    leavesOut: (method, { sampled }) =>
      sampled === true && !method.onExperts && !method.only && !sampledMethods.includes(method.name),
    reason: (methods, architectures) =>
      `${list(architectures.filter(({ sampled }) => sampled).map(({ name }) => name))}: the layers are those of the decoder's own row, the heads those of llama SEQ_CLS, llama TOKEN_CLS and bert FEATURE_EXTRACTION, each tried with every method; together one method of each kind is tried, ${list(sampledMethods.filter((name) => methods.some((method) => method.name === name)))}.`,
  },
];

/** The rule by which a method is not tried on an architecture; null where it is. */
export const ruleAgainst = (method: MethodRow, architecture: ArchitectureRow): Rule | null =>
  rules.find((rule) => rule.leavesOut(method, architecture)) ?? null;
