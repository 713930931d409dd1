import { tf } from '@graft/tf-graph';
import { activation, gatedProduct } from '../nn/activations.ts';
import type { Projections } from '../nn/attention/heads.ts';
import { bucketsOfDistances, rowsByDistance } from '../nn/attention/relative-positions.ts';
import { takeRows } from '../nn/rows.ts';
import type { ResidualSite, TaskType } from '../outlines/outline.ts';
import { t5 as family } from '../outlines/t5.ts';
import type {
  Architecture,
  AttentionSite,
  KeysAndValues,
  Memory,
  ModelRuntime,
  TokenGrid,
} from './architecture.ts';

/** An attention site without the fields that all sites share. */
type Attends = Pick<AttentionSite, 'kind' | 'layer' | 'bias' | 'relative'>;

/** The position bias of the scores, shared by all blocks. */
type Positions = Pick<AttentionSite, 'bias' | 'relative'>;

/** The tensors of the position bias, as a block takes them, and a function that maps them back to their names. */
function sharedOf(positions: Positions): { tensors: tf.Tensor[]; named(own: tf.Tensor[]): Positions } {
  const given = (['bias', 'relative'] as const).filter((name) => positions[name]);
  return {
    tensors: given.map((name) => positions[name]!),
    named: (own) => Object.fromEntries(given.map((name, i) => [name, own[i]!])),
  };
}

/**
 * T5 and FLAN-T5: pre-norm encoder and decoder. Positions are a bias on the scores of self-attention, which are not scaled. The
 * first block of encoder and decoder holds the bias of all its blocks.
 * Source: transformers, models/t5/modeling_t5.py; names are its state-dict keys.
 */
export function t5(config: Record<string, unknown>, task: TaskType): Architecture {
  const outline = family.outline(config, task);
  const { heads, headSize: D, epsilon, dropout, encoderLayers } = outline;
  const act = activation(outline.activation);

  const ownHeads = { heads, kvHeads: heads, headSize: D, scale: 1 };

  /** The bias by distance; where keys precede the sequence or are cached, the bias of each of these keys. */
  function positions(runtime: ModelRuntime, half: 'encoder' | 'decoder', grid: TokenGrid): Positions {
    const { tokens, positions, prefix = 0, cached } = grid;
    const buckets = runtime.constant(
      bucketsOfDistances({ ...outline.buckets, bidirectional: half === 'encoder' }),
    );
    const byDistance = runtime.embedding(
      `${half}.block.0.layer.0.SelfAttention.relative_attention_bias`,
      buckets,
    );
    if (cached === undefined && prefix === 0) return { relative: byDistance };
    const before = (keys: number) => {
      const rows = runtime.constant(rowsByDistance(outline.buckets.maxDistance, positions, keys));
      return tf.transpose(tf.reshape(takeRows(byDistance, rows), [-1, tokens, keys, heads]), [0, 3, 1, 2]);
    };
    return cached === undefined ? { bias: before(prefix), relative: byDistance } : { bias: before(cached) };
  }

  const keysAndValues = (runtime: ModelRuntime, path: string, x: tf.Tensor): KeysAndValues => ({
    k: runtime.linear(`${path}.k`, x),
    v: runtime.linear(`${path}.v`, x),
  });

  /** The output `(N, H)` of an attention. */
  function attention(
    runtime: ModelRuntime,
    path: string,
    site: Attends,
    projections: Projections,
  ): tf.Tensor {
    const attended = runtime.attend({ ...site, ...ownHeads, dropout }, projections); // (N, heads · D)
    return runtime.dropout(runtime.linear(`${path}.o`, attended), dropout);
  }

  function feedForward(runtime: ModelRuntime, site: ResidualSite, x: tf.Tensor): tf.Tensor {
    const path = `${site.module}.DenseReluDense`;
    const h = runtime.rmsNorm(`${site.module}.layer_norm`, x, epsilon);
    const wide = outline.gated
      ? gatedProduct(outline.activation, runtime.linears([`${path}.wi_0`, `${path}.wi_1`], h))
      : act(runtime.linear(`${path}.wi`, h)); // (N, I)
    const narrow = runtime.linear(`${path}.wo`, runtime.dropout(wide, dropout));
    return runtime.residualAdd(site, runtime.dropout(narrow, dropout), x);
  }

  /** The first sublayer of a block. `site.layer` counts all blocks of encoder and decoder, `attends.layer` those of one half. */
  function selfAttention(
    runtime: ModelRuntime,
    site: ResidualSite,
    attends: Attends,
    x: tf.Tensor,
  ): tf.Tensor {
    const path = `${site.module}.SelfAttention`;
    const h = runtime.rmsNorm(`${site.module}.layer_norm`, x, epsilon);
    const own = runtime.linears(
      ['q', 'k', 'v'].map((name) => `${path}.${name}`),
      h,
    );
    return runtime.residualAdd(site, attention(runtime, path, attends, own), x);
  }

  function encode(runtime: ModelRuntime, ids: tf.Tensor, grid: TokenGrid): tf.Tensor {
    const shared = sharedOf(positions(runtime, 'encoder', grid));
    let x = runtime.dropout(runtime.embedding('encoder.embed_tokens', ids), dropout);
    for (let layer = 0; layer < encoderLayers; layer++) {
      const path = `encoder.block.${layer}`;
      const block = (x: tf.Tensor, ...own: tf.Tensor[]) => {
        const site = (sublayer: ResidualSite['sublayer'], i: number) => ({
          layer,
          sublayer,
          module: `${path}.layer.${i}`,
        });
        const attends = { kind: 'encoder', layer, ...shared.named(own) } as const;
        const attended = selfAttention(runtime, site('attention', 0), attends, x);
        return feedForward(runtime, site('feed_forward', 1), attended);
      };
      x = runtime.block(path, x, block, shared.tensors);
    }
    return runtime.dropout(runtime.rmsNorm('encoder.final_layer_norm', x, epsilon), dropout);
  }

  function decode(runtime: ModelRuntime, ids: tf.Tensor, grid: TokenGrid, memory: Memory): tf.Tensor {
    const shared = sharedOf(positions(runtime, 'decoder', grid));
    let x = runtime.dropout(runtime.embedding('decoder.embed_tokens', ids), dropout);
    for (let layer = 0; layer < outline.layers; layer++) {
      const path = `decoder.block.${layer}`;
      const block = (x: tf.Tensor, ...own: tf.Tensor[]) => {
        const site = (sublayer: ResidualSite['sublayer'], i: number) => ({
          layer: encoderLayers + layer,
          sublayer,
          module: `${path}.layer.${i}`,
        });
        const attends = { kind: 'self', layer, ...shared.named(own) } as const;
        const attended = selfAttention(runtime, site('attention', 0), attends, x);

        const cross = site('cross_attention', 1);
        const crossPath = `${cross.module}.EncDecAttention`;
        const read =
          'states' in memory ? keysAndValues(runtime, crossPath, own.at(-1)!) : memory.keysAndValues(layer);
        const h = runtime.rmsNorm(`${cross.module}.layer_norm`, attended, epsilon);
        const q = runtime.linear(`${crossPath}.q`, h);
        const [output, residual] = [
          attention(runtime, crossPath, { kind: 'cross', layer }, [q, read.k, read.v]),
          attended,
        ].map((rows) => runtime.rowsRead(layer, rows)) as [tf.Tensor, tf.Tensor];
        return feedForward(runtime, site('feed_forward', 2), runtime.residualAdd(cross, output, residual));
      };
      const others = 'states' in memory ? [...shared.tensors, memory.states] : shared.tensors;
      x = runtime.block(path, x, block, others);
    }
    return x;
  }

  return {
    ...outline,
    attention: 'causal',
    drops: dropout > 0,
    encoder: {
      encode,
      keysAndValues: (runtime, layer, states) =>
        keysAndValues(runtime, `decoder.block.${layer}.layer.1.EncDecAttention`, states),
    },
    body(runtime, ids, grid, memory) {
      if (!memory) throw new Error('the decoder of an encoder-decoder needs a memory');
      return decode(runtime, ids, grid, memory);
    },
    finalNorm(runtime, hidden) {
      const normed = runtime.dropout(runtime.rmsNorm('decoder.final_layer_norm', hidden, epsilon), dropout);
      return outline.headScale === 1 ? normed : tf.mul(normed, outline.headScale);
    },
    languageHead: 'lm_head',
    logits: (runtime, hidden) => runtime.linear('lm_head', hidden),
  };
}
