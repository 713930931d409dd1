import { tf } from '@graft/tf-graph';
import { activation } from '../nn/activations.ts';
import { shiftedIds } from '../nn/embedding.ts';
import type { EncoderOutline } from '../outlines/encoder.ts';
import type { Architecture, ModelRuntime, TokenGrid } from './architecture.ts';

/** The part of an encoder that the families share; each family adds its own head. */
export type EncoderBody = Omit<Architecture, 'logits'>;

/**
 * Post-norm encoders: embeddings of tokens, token types (always type 0) and learned positions, then
 * blocks of attention and feed-forward network. Names are transformers' state-dict keys.
 */
export function encoder(outline: EncoderOutline): EncoderBody {
  const { headSize: D, hiddenSize: H, layers, epsilon, dropout, prefix } = outline;
  const act = activation(outline.activation);

  function embed(runtime: ModelRuntime, ids: tf.Tensor, grid: TokenGrid): tf.Tensor {
    const rows = shiftedIds(grid.positions, outline.firstPosition);
    const types = runtime.embedding(`${prefix}embeddings.token_type_embeddings`, tf.zeros([1], 'int32')); // (1, H)
    const words = tf.add(runtime.embedding(outline.tokenEmbedding, ids), types);
    const sum = tf.add(words, runtime.embedding(`${prefix}embeddings.position_embeddings`, rows)); // (N, H)
    const normed = runtime.layerNorm(`${prefix}embeddings.LayerNorm`, sum, epsilon, true);
    return runtime.dropout(normed, dropout.hidden);
  }

  function block(runtime: ModelRuntime, layer: number, x: tf.Tensor): tf.Tensor {
    const path = `${prefix}encoder.layer.${layer}`;
    const projections = ['query', 'key', 'value'].map((name) => `${path}.attention.self.${name}`);
    const attended = runtime.attend(
      {
        layer,
        dropout: dropout.attention,
        heads: H / D,
        kvHeads: H / D,
        headSize: D,
        scale: 1 / Math.sqrt(D),
      },
      runtime.linears(projections, x),
    ); // (N, H)
    const [read, residual] = [attended, x].map((rows) => runtime.rowsRead(layer, rows)) as [
      tf.Tensor,
      tf.Tensor,
    ];
    const attention = output(runtime, layer, 'attention', `${path}.attention.output`, read, residual);
    const inner = act(runtime.linear(`${path}.intermediate.dense`, attention)); // (N, I)
    return output(runtime, layer, 'feed_forward', `${path}.output`, inner, attention);
  }

  /** The end of a sublayer: projection, dropout, residual sum, norm. */
  function output(
    runtime: ModelRuntime,
    layer: number,
    sublayer: 'attention' | 'feed_forward',
    module: string,
    x: tf.Tensor,
    residual: tf.Tensor,
  ): tf.Tensor {
    const projected = runtime.dropout(runtime.linear(`${module}.dense`, x), dropout.hidden);
    const norm = (sum: tf.Tensor) => runtime.layerNorm(`${module}.LayerNorm`, sum, epsilon, true);
    return runtime.residualAdd({ layer, sublayer, module, postNorm: true }, projected, residual, norm);
  }

  return {
    ...outline,
    attention: 'bidirectional',
    drops: Math.max(dropout.hidden, dropout.attention) > 0,
    body(runtime, ids, grid) {
      let x = embed(runtime, ids, grid);
      for (let layer = 0; layer < layers; layer++) {
        x = runtime.block(`${prefix}encoder.layer.${layer}`, x, (x) => block(runtime, layer, x));
      }
      return x;
    },
    // The last block ends with its own norm.
    finalNorm: (_runtime, hidden) => hidden,
    languageHead: null,
  };
}
