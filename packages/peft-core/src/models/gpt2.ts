import { tf } from '@graft/tf-graph';
import { activation } from '../nn/activations.ts';
import { gpt2 as family } from '../outlines/gpt2.ts';
import type { TaskType } from '../outlines/outline.ts';
import type { Architecture, ModelRuntime } from './architecture.ts';

/**
 * GPT-2: pre-norm blocks with learned positions.
 * Source: transformers, models/gpt2/modeling_gpt2.py; names are its state-dict keys.
 */
export function gpt2(config: Record<string, unknown>, task: TaskType): Architecture {
  const outline = family.outline(config, task);
  const { heads, headSize: D, layers, epsilon, dropout, prefix } = outline;
  const act = activation(outline.activation);

  function block(runtime: ModelRuntime, layer: number, x: tf.Tensor): tf.Tensor {
    const path = `${prefix}h.${layer}`;

    const h = runtime.layerNorm(`${path}.ln_1`, x, epsilon); // (N, H)
    const projections = [runtime.linear(`${path}.attn.c_attn`, h)];
    const attended = runtime.attend(
      {
        layer,
        dropout: dropout.attention,
        heads,
        kvHeads: heads,
        headSize: D,
        scale: outline.queryScale(layer),
      },
      projections,
    ); // (N, H)
    const output = runtime.linear(`${path}.attn.c_proj`, runtime.rowsRead(layer, attended));
    const attention = runtime.dropout(output, dropout.residual);
    const afterAttention = runtime.residualAdd(
      { layer, sublayer: 'attention', module: `${path}.attention_adapters` },
      attention,
      runtime.rowsRead(layer, x),
    );

    const m = runtime.layerNorm(`${path}.ln_2`, afterAttention, epsilon);
    const wide = act(runtime.linear(`${path}.mlp.c_fc`, m)); // (N, I)
    const narrow = runtime.dropout(runtime.linear(`${path}.mlp.c_proj`, wide), dropout.residual);
    return runtime.residualAdd(
      { layer, sublayer: 'feed_forward', module: `${path}.output_adapters` },
      narrow,
      afterAttention,
    );
  }

  function logits(runtime: ModelRuntime, hidden: tf.Tensor): tf.Tensor {
    if (task === 'TOKEN_CLS')
      return runtime.linear('classifier', runtime.dropout(hidden, dropout.classifier));
    return runtime.linear(task === 'CAUSAL_LM' ? 'lm_head' : 'score', hidden);
  }

  return {
    ...outline,
    attention: 'causal',
    drops: Math.max(dropout.embedding, dropout.attention, dropout.residual) > 0,
    body(runtime, ids, grid) {
      const embedded = tf.add(
        runtime.embedding(outline.tokenEmbedding, ids),
        runtime.embedding(`${prefix}wpe`, grid.positions),
      );
      let x = runtime.dropout(embedded, dropout.embedding);
      for (let layer = 0; layer < layers; layer++) {
        x = runtime.block(`${prefix}h.${layer}`, x, (x) => block(runtime, layer, x));
      }
      return x;
    },
    finalNorm: (runtime, hidden) => runtime.layerNorm(`${prefix}ln_f`, hidden, epsilon),
    languageHead: task === 'CAUSAL_LM' ? 'lm_head' : null,
    ...(task === 'FEATURE_EXTRACTION' ? {} : { logits }),
  };
}
