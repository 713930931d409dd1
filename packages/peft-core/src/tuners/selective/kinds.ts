import type { ModelOutline } from '../../outlines/outline.ts';

/** Kinds of parameters that can be chosen. */
export const KINDS = ['bias', 'norm', 'embedding', 'head', 'attention', 'mlp'] as const;
export type Kind = (typeof KINDS)[number];

/** What holds attention, and what a feed-forward network, in the paths of the supported architectures. */
const ATTENTION = /(?:^|\.)(?:self_attn|attn|attention|SelfAttention|EncDecAttention)\./;
const FEED_FORWARD = /(?:^|\.)(?:mlp|DenseReluDense|intermediate|output)\./;

/** The layer that a parameter lies in: the first number of its path; null outside of layers. */
export function layerOf(parameter: string): number | null {
  const number = /(?:^|\.)(\d+)\./.exec(parameter)?.[1];
  return number === undefined ? null : Number(number);
}

/** Whether a parameter is of a kind. Biases and norms of attention are of both kinds. */
export function isOfKind(parameter: string, kind: Kind, model: ModelOutline): boolean {
  const path = parameter.slice(0, parameter.lastIndexOf('.'));
  const module = model.modules.find(({ name }) => name === path);
  switch (kind) {
    case 'bias':
      return parameter.endsWith('.bias');
    case 'norm':
      return module?.kind === 'norm';
    case 'embedding':
      return module?.kind === 'embedding' && layerOf(parameter) === null;
    case 'head':
      return [...model.taskHead, 'lm_head'].some((head) => parameter.startsWith(`${head}.`));
    case 'attention':
      return ATTENTION.test(parameter);
    case 'mlp':
      return layerOf(parameter) !== null && FEED_FORWARD.test(parameter) && !ATTENTION.test(parameter);
  }
}
