import { tf } from '@graft/tf-graph';
import type { Architecture, AttentionSite } from '../models/architecture.ts';
import { attention } from '../nn/attention/attention.ts';
import { RotaryTables, sideBySide } from '../nn/attention/heads.ts';
import { type Mask, packedCausalMask, packedMask } from '../nn/attention/masks.ts';
import { type ScoreBias, scoreBias } from '../nn/attention/score-bias.ts';
import { segmentAttention } from '../nn/attention/segment-attention.ts';
import { usesKernels } from '../nn/computation.ts';
import type { RandomState } from '../nn/dropout.ts';
import type { RuntimeOptions } from './peft-model.ts';

/** The sequences that the positions of packed rows belong to. */
export interface PackedGrid {
  rows: number;
  tokens: number;
  /** `(rows · tokens)` int32: the number, from 1, of a token's sequence within its row; 0 is padding. */
  segments: tf.Tensor;
  /** `(rows · tokens)` int32: a token's position in its sequence, including the positions of a prefix of keys and values. */
  positions: tf.Tensor;
  /** As in `PackedPositions`. */
  parents?: tf.Tensor;
  grandparents?: tf.Tensor;
  /** `(S, 4)` int32: the same information by sequence, for `segmentAttention`; optional. */
  spans?: tf.Tensor;
}

export interface PackedAttentionOptions {
  /** The encoder's sequences. A decoder's sequence reads the encoder's sequence of the same row and number. */
  encoder?: PackedGrid;
  random?: RandomState;
  constants?: tf.Tensor[];
}

/**
 * Attention within packed sequences, for `PeftModel.runtime`. Each mask is computed once for all layers that share it, and kept in
 * `constants`, if given, until the caller disposes them. With `random`, the base model's dropout is applied.
 */
export function packedAttention(
  architecture: Pick<Architecture, 'attention'>,
  grid: PackedGrid,
  { encoder, random, constants }: PackedAttentionOptions = {},
): RuntimeOptions['attend'] {
  const { rows, tokens, segments } = grid;
  const masks = new Map<string, Mask>();
  const shared = new Map<string, tf.Tensor>();
  // Tensors created in a block are disposed when the block ends, unless they are kept.
  const kept = (x: tf.Tensor) => {
    constants?.push(tf.keep(x));
    return x;
  };
  const once = <T>(made: Map<string, T>, key: string, make: () => T): T => {
    const one = made.get(key) ?? make();
    made.set(key, one);
    return one;
  };
  const tables = new RotaryTables(kept);
  function maskOf({ kind = 'self', window = null }: AttentionSite, prefix: number): Mask {
    if (kind !== 'self') {
      if (!encoder) throw new Error(`an attention of kind ${kind} needs the encoder's grid`);
      const own = kind === 'cross' ? segments : encoder.segments;
      return packedMask(own, encoder.segments, rows, { keep: kept });
    }
    return architecture.attention === 'causal'
      ? packedCausalMask(grid, rows, { window, prefix, keep: kept })
      : packedMask(segments, segments, rows, { prefix, keep: kept });
  }

  const biases = new WeakMap<tf.Tensor, ScoreBias>();
  /** The bias of a site, computed once for the layers that share it. A block that runs again for its gradient computes its own. */
  function biasOf({ bias, relative, kind }: AttentionSite): ScoreBias | undefined {
    const whose = relative ?? bias;
    if (!whose) return undefined;
    const made =
      biases.get(whose) ?? scoreBias(bias, relative, kind === 'encoder' ? encoder!.tokens : tokens, kept);
    biases.set(whose, made!);
    return made;
  }

  /** The spans of a site's queries and keys for `segmentAttention`; undefined if the grids have none. */
  function spansOf(kind: AttentionSite['kind']): tf.Tensor | undefined {
    if (kind === 'self') return grid.spans;
    if (kind === 'encoder' || !encoder?.spans || !grid.spans) return encoder?.spans;
    const ends = (spans: tf.Tensor) => tf.slice(spans, [0, 0], [spans.shape[0]!, 2]);
    return once(shared, 'spans', () => kept(tf.concat([ends(grid.spans!), ends(encoder.spans!)], 1)));
  }

  return (site, projections, prefix) => {
    const { kind = 'self', window = null, relative, sinks, dropout: probability = 0 } = site;
    const dropout = random && { probability, random };
    const spans = usesKernels() && !prefix && !site.bias ? spansOf(kind) : undefined;
    if (spans) {
      const causal = kind === 'self' && architecture.attention === 'causal';
      const cross = kind === 'cross';
      const options = { causal, window, cross, relative, dropout, sinks };
      return segmentAttention(projections, site, spans, options);
    }
    const options = { bias: biasOf(site), dropout, sinks };
    const length = prefix?.keys.shape[1] ?? 0;
    const mask = once(masks, [site.kind, site.window, length].join(), () => maskOf(site, length));
    const { q, k, v } = tables.byHead(projections, site, rows);
    const [keys, values] = prefix ? [before(k, prefix.keys), before(v, prefix.values)] : [k, v];
    return sideBySide(attention(q, keys, values, mask, options));
  };
}

/** Puts `first` `(kvHeads, n, D)` before the keys of every row of x `(rows, kvHeads, T, D)`. */
export function before(x: tf.Tensor, first: tf.Tensor): tf.Tensor {
  const spread = tf.mul(tf.expandDims(first, 0), tf.ones([x.shape[0]!, 1, 1, 1]));
  return tf.concat([spread, x], 2);
}
