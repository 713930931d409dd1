import { tf } from '@graft/tf-graph';
import { packedAttention } from './packed-attention.ts';
import { adapterTensors, type PeftModel } from './peft-model.ts';

/**
 * Runs an encoder-decoder's encoder and returns each decoder layer's cross-attention keys and values, `(tokens, kvHeads · D)`. Ids and
 * segments `(tokens)` int32 are those of one input; the last positions may be padding.
 */
export function encodedInput(
  model: PeftModel,
  { ids, segments }: { ids: tf.Tensor; segments: tf.Tensor },
): (layer: number) => { k: tf.Tensor; v: tf.Tensor } {
  const { architecture } = model;
  const [tokens] = ids.shape as [number];
  const grid = { rows: 1, tokens, segments, positions: tf.range(0, tokens, 1, 'int32') };
  const attend = packedAttention(architecture, grid, { encoder: grid });
  const runtime = model.runtime({ parameters: adapterTensors(model), attend });
  const encoder = architecture.encoder!;
  const states = encoder.encode(runtime, ids, grid);
  return (layer) => encoder.keysAndValues(runtime, layer, states);
}
