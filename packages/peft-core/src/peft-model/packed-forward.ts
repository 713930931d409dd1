import { tf } from '@graft/tf-graph';
import type { ModelRuntime } from '../models/architecture.ts';
import { nextSeed, type RandomState } from '../nn/dropout.ts';
import { withNoise } from '../nn/embedding.ts';
import { ExpertBalance } from '../nn/experts/expert-balance.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { type PackedGrid, packedAttention } from './packed-attention.ts';
import { packedRecurrence } from './packed-recurrence.ts';
import type { ParameterTensors, PeftModel } from './peft-model.ts';

export interface PackedTokens extends PackedGrid {
  /** `(rows · tokens)` int32. */
  ids: tf.Tensor;
  /** `(K)` int32: positions whose hidden states are read; absent: all. */
  read?: tf.Tensor;
  /** `(rows · tokens)` int32: 1 for a position at which the adapter is active; absent: it always is. */
  active?: tf.Tensor;
}

export interface TrainingPass {
  random: RandomState;
  /** Tensors to keep until the caller has its gradients and disposes them. */
  constants: tf.Tensor[];
  checkpointing: boolean;
  /** Share of the pass in the step's loss that balances experts; absent: it has none. */
  balanceShare?: number;
  /** Amplitude of the noise on each position's embedding, `(rows · tokens)`, and on each of an encoder's input; absent: none. */
  noise?: { own: tf.Tensor; input?: tf.Tensor };
}

/**
 * A forward pass over packed sequences. `input` is the input of an encoder-decoder's encoder. Returns the hidden states that are read,
 * `(K or rows · tokens, H)`, before the final norm, and the runtime for further layers. `balance`: the loss of the experts' use, if the
 * model has one in training.
 */
export function packedForward(
  model: PeftModel,
  parameters: ParameterTensors,
  own: PackedTokens,
  input: PackedTokens | null,
  training: TrainingPass | null = null,
): { hidden: tf.Tensor; runtime: ModelRuntime; balance: ExpertBalance | null } {
  const { architecture, attachment } = model;
  const { encoder } = architecture;
  const attend = packedAttention(architecture, own, { ...training, ...(input ? { encoder: input } : {}) });
  const balance = training && balanceOf(architecture, own, training);
  const recur =
    architecture.recurrence && packedRecurrence(architecture.recurrence, own, training?.constants);
  const plain = model.runtime({
    parameters,
    attend,
    ...(recur && { recur }),
    ...(own.read && { read: own.read }),
    ...(own.active && { active: own.active }),
    ...(balance && { balance }),
    ...training,
  });
  const runtime = training?.noise ? noisy(plain, architecture, own, input, training, training.noise) : plain;
  const prefix = attachment?.prefixLength ?? 0;
  const grid = prefix > 0 ? { ...own, prefix } : own;
  if (!encoder) return { hidden: architecture.body(runtime, own.ids, grid), runtime, balance };
  if (!input) throw new Error(`${architecture.modelType} needs an input for its encoder`);
  const states = encoder.encode(runtime, input.ids, input);
  return { hidden: architecture.body(runtime, own.ids, grid, { states }), runtime, balance };
}

/** The loss of the experts' use, in training a language model whose config asks for it. */
function balanceOf(
  { routing, task }: PeftModel['architecture'],
  grid: PackedTokens,
  { balanceShare, constants }: TrainingPass,
): ExpertBalance | null {
  if (!routing || routing.balance === 0 || balanceShare === undefined || task !== 'CAUSAL_LM') return null;
  return new ExpertBalance(routing, timesUsed(grid), balanceShare * routing.balance, (x) => {
    constants.push(tf.keep(x));
    return x;
  });
}

/** A sequence, its prefix, and the prefix of that. */
const DEPTH = 3;

/** Number of sequences that each position belongs to, `(N)` float32: 0 for padding, and several for a shared prefix. */
function timesUsed({ segments, spans }: PackedTokens): tf.Tensor {
  const isUsed = tf.cast(tf.greater(tf.cast(segments, 'float32'), 0), 'float32');
  if (!spans) return isUsed;
  const [start, end, parent, parentEnd] = tf.split(tf.cast(spans, 'float32'), 4, 1) as tf.Tensor[]; // (S, 1) each
  const hasParent = tf.greater(parentEnd!, parent!);
  // (S, S): 1 where the span of the row is the prefix of that of the column.
  const isParent = tf.cast(
    tf.logicalAnd(tf.equal(start!, tf.transpose(parent!)), tf.transpose(hasParent)),
    'float32',
  );
  const isLast = tf.cast(tf.equal(tf.sum(isParent, 1, true), 0), 'float32'); // (S, 1)
  let uses = isLast;
  for (let level = 1; level < DEPTH; level++)
    uses = tf.add(isLast, tf.sum(tf.mul(isParent, tf.transpose(uses)), 1, true));
  const places = tf.expandDims(tf.cumsum(tf.onesLike(isUsed), 0, true), 1); // (N, 1)
  const isWithin = tf.logicalAnd(
    tf.greaterEqual(places, tf.transpose(start!)),
    tf.less(places, tf.transpose(end!)),
  ); // (N, S)
  const own = tf.sum(tf.mul(tf.cast(isWithin, 'float32'), tf.transpose(uses)), 1);
  return tf.mul(isUsed, tf.maximum(own, 1));
}

/** A runtime that adds noise to the embeddings of these tokens. */
function noisy(
  runtime: ModelRuntime,
  { layerTable }: Pick<ModelOutline, 'layerTable'>,
  own: PackedTokens,
  input: PackedTokens | null,
  { random }: TrainingPass,
  noise: NonNullable<TrainingPass['noise']>,
): ModelRuntime {
  const scales = new Map([
    [own.ids, noise.own],
    ...(input && noise.input ? ([[input.ids, noise.input]] as const) : []),
  ]);
  return {
    ...runtime,
    embedding(module, ids) {
      // Position and token-type embeddings and per-layer inputs, which also call this function, get no noise.
      const tokenScales = module === layerTable ? undefined : scales.get(ids);
      const x = runtime.embedding(module, ids);
      return tokenScales ? withNoise(x, tokenScales, nextSeed(random)) : x;
    },
  };
}
