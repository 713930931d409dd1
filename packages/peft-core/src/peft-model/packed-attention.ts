import { tf } from '@graft/tf-graph';
import type { Architecture, AttentionSite } from '../models/architecture.ts';
import { attention, packedCausalMask, packedMask, prefixMask } from '../nn/attention/attention.ts';
import { RotaryTables, sideBySide } from '../nn/attention/heads.ts';
import { relativeBias } from '../nn/attention/relative-positions.ts';
import { segmentAttention } from '../nn/attention/segment-attention.ts';
import { usesKernels } from '../nn/computation.ts';
import type { RandomState } from '../nn/dropout.ts';
import type { RuntimeOptions } from './peft-model.ts';

/** Which position of packed rows belongs to which sequence. */
export interface PackedGrid {
  rows: number;
  tokens: number;
  /** `(rows · tokens)` int32: the number, from 1, of a token's sequence within its row; 0 is padding. */
  segments: tf.Tensor;
  /** `(rows · tokens)` int32: a token's position in its sequence, counted from the start of a prefix of keys and values. */
  positions: tf.Tensor;
  /** As `PackedPositions` has them. */
  parents?: tf.Tensor;
  /** `(S, 4)` int32: the same by sequence, as `segmentAttention` takes it; absent where nobody made it. */
  spans?: tf.Tensor;
}

export interface PackedAttentionOptions {
  /** The encoder's sequences. A decoder's sequence reads the encoder's sequence of the same row and number. */
  encoder?: PackedGrid;
  random?: RandomState;
  constants?: tf.Tensor[];
}

/**
 * Attention within packed sequences, for `PeftModel.runtime`. Each mask is made once, for all layers that share it, and kept in
 * `constants`, if given, until the caller disposes them. With `random`, the base model's dropout is applied.
 */
export function packedAttention(
  architecture: Pick<Architecture, 'attention'>,
  grid: PackedGrid,
  { encoder, random, constants }: PackedAttentionOptions = {},
): RuntimeOptions['attend'] {
  const { rows, tokens, segments, positions } = grid;
  const masks = new Map<string, tf.Tensor>();
  // What a block makes is disposed when the block ends.
  const kept = (x: tf.Tensor) => {
    constants?.push(tf.keep(x));
    return x;
  };
  const once = (key: string, make: () => tf.Tensor): tf.Tensor => {
    const mask = masks.get(key) ?? kept(make());
    masks.set(key, mask);
    return mask;
  };
  const tables = new RotaryTables(kept);
  function maskOf({ kind = 'self', window = null }: AttentionSite, prefix: number): tf.Tensor {
    if (kind !== 'self') {
      if (!encoder) throw new Error(`an attention of kind ${kind} needs the encoder's grid`);
      return packedMask(kind === 'cross' ? segments : encoder.segments, encoder.segments, rows);
    }
    const own =
      architecture.attention === 'causal'
        ? packedCausalMask(grid, rows, tokens, window)
        : packedMask(segments, segments, rows);
    return prefix === 0 ? own : tf.concat([prefixMask(positions, rows, prefix, window), own], -1);
  }

  const biases = new WeakMap<tf.Tensor, tf.Tensor>();
  /** Made once of what layers share. A block that runs again for its gradient has its own. */
  function biasOf({ bias, relative, kind }: AttentionSite): tf.Tensor | undefined {
    if (!relative) return bias;
    const made =
      biases.get(relative) ?? kept(relativeBias(relative, kind === 'encoder' ? encoder!.tokens : tokens));
    biases.set(relative, made);
    return made;
  }

  /** The spans of a site's queries and keys as `segmentAttention` takes them; undefined where nobody made them. */
  function spansOf(kind: AttentionSite['kind']): tf.Tensor | undefined {
    if (kind === 'self') return grid.spans;
    if (kind === 'encoder' || !encoder?.spans || !grid.spans) return encoder?.spans;
    const ends = (spans: tf.Tensor) => tf.slice(spans, [0, 0], [spans.shape[0]!, 2]);
    return once('spans', () => tf.concat([ends(grid.spans!), ends(encoder.spans!)], 1));
  }

  return (site, projections, prefix) => {
    const { kind = 'self', window = null, relative, dropout: probability = 0 } = site;
    const dropout = random && { probability, random };
    const spans = usesKernels() && !prefix && !site.bias ? spansOf(kind) : undefined;
    if (spans) {
      const causal = kind === 'self' && architecture.attention === 'causal';
      const cross = kind === 'cross';
      return segmentAttention(projections, site, spans, { causal, window, cross, relative, dropout });
    }
    const options = { bias: biasOf(site), dropout };
    const length = prefix?.keys.shape[1] ?? 0;
    const mask = once([site.kind, site.window, length].join(), () => maskOf(site, length));
    const { q, k, v } = tables.byHead(projections, site, rows);
    const [keys, values] = prefix ? [before(k, prefix.keys), before(v, prefix.values)] : [k, v];
    return sideBySide(attention(q, keys, values, mask, options));
  };
}

/** x `(rows, kvHeads, T, D)` with `first` `(kvHeads, n, D)` put before every row's. */
export function before(x: tf.Tensor, first: tf.Tensor): tf.Tensor {
  const spread = tf.mul(tf.expandDims(first, 0), tf.ones([x.shape[0]!, 1, 1, 1]));
  return tf.concat([spread, x], 2);
}
