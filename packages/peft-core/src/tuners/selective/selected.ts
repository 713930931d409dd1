import type { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { optionError } from '../../schema/check-fields.ts';
import { fullMatch } from '../../schema/module-pattern.ts';
import { nearest } from '../../schema/nearest.ts';
import { isBias } from '../matrices/biases.ts';

export const KINDS = ['bias', 'norm', 'embedding', 'head', 'attention', 'mlp'] as const;
export type Kind = (typeof KINDS)[number];

interface Selection {
  trainable: string[] | string | null;
  kinds: Kind[] | null;
  layers: number[] | number | null;
}

/**
 * Names of the parameters that `config` trains, in the model's order. A tied weight that is selected itself (as head, or by a pattern)
 * is trained under its own name, separately from the weight that it is tied to.
 * Throws `invalid_peft_config` for a name, a kind or layers that select nothing.
 */
export function selectedParameters(config: Selection, model: ModelOutline): string[] {
  const { trainable, kinds } = config;
  const layers = config.layers === null ? null : [config.layers].flat();
  const candidates = candidatesOf(model).filter((name) => !layers || layers.includes(layerOf(name) ?? -1));
  for (const layer of layers ?? []) {
    if (candidates.some((name) => layerOf(name) === layer)) continue;
    throw optionError('layers', `there is no layer ${layer}; layers are 0 to ${model.layers - 1}`);
  }
  const within = layers ? ` in layers ${layers.join(', ')}` : '';
  const chosen = new Set<string>();
  if (trainable === null && kinds === null) for (const name of candidates) chosen.add(name);
  for (const pattern of trainable === null ? [] : [trainable].flat()) {
    const matches = typeof trainable === 'string' ? fullMatch : hasPath;
    const found = candidates.filter((name) => matches(pattern, name));
    if (found.length === 0) throw notFound(pattern, within, candidates);
    for (const name of found) chosen.add(name);
  }
  for (const kind of kinds ?? []) {
    const found = candidates.filter((name) => isOfKind(name, kind, model));
    if (found.length === 0) throw noneOfKind(kind, within, candidates, model);
    for (const name of found) chosen.add(name);
  }
  return candidates.filter((name) => chosen.has(name));
}

/** Every parameter that the model reads, and the aliases of tied linear weights: a head's. */
function candidatesOf({ parameters, aliases, modules }: ModelOutline): string[] {
  const linear = new Set(modules.filter(({ kind }) => kind === 'linear').map(({ name }) => `${name}.weight`));
  return [
    ...parameters.filter(({ unread }) => !unread).map(({ name }) => name),
    ...Object.keys(aliases).filter((name) => linear.has(name)),
  ];
}

/** Checks whether the parts of `path` are consecutive parts of `name`: "layers.3" is in "model.layers.3.mlp.up_proj.weight". */
function hasPath(path: string, name: string): boolean {
  return `.${name}.`.includes(`.${path}.`);
}

function notFound(pattern: string, within: string, candidates: string[]): GraftError {
  const parts = new Set(candidates.flatMap((name) => name.split('.').filter((part) => !/^\d+$/.test(part))));
  const near = nearest(pattern.slice(pattern.lastIndexOf('.') + 1), parts, 3);
  const hint =
    near.length > 0 ? `; nearest: ${near.join(', ')}` : `; there are ${[...parts].slice(0, 16).join(', ')}`;
  return optionError('trainable', `"${pattern}" matches no parameter of this model${within}${hint}`);
}

function noneOfKind(kind: Kind, within: string, candidates: string[], model: ModelOutline): GraftError {
  const there = KINDS.filter((each) => candidates.some((name) => isOfKind(name, each, model)));
  return optionError(
    'kinds',
    `this model has no parameter of kind "${kind}"${within}; it has ${there.join(', ')}`,
  );
}

/** The path parts of attention and of feed-forward networks in the supported architectures. */
const ATTENTION = /(?:^|\.)(?:self_attn|linear_attn|mamba|attn|attention|SelfAttention|EncDecAttention)\./;
const FEED_FORWARD = /(?:^|\.)(?:mlp|shared_mlp|block_sparse_moe|DenseReluDense|intermediate|output)\./;

/** The layer of a parameter: the first number in its path; null outside of layers. */
function layerOf(parameter: string): number | null {
  const number = /(?:^|\.)(\d+)\./.exec(parameter)?.[1];
  return number === undefined ? null : Number(number);
}

/** Checks whether a parameter is of a kind. Biases and norms of attention are of two kinds. */
function isOfKind(parameter: string, kind: Kind, model: ModelOutline): boolean {
  const path = parameter.slice(0, parameter.lastIndexOf('.'));
  const module = model.modules.find(({ name }) => name === path);
  switch (kind) {
    case 'bias':
      return isBias(parameter);
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
