/** Layers of soft prompts: virtual tokens, and the layers of prompt encoders, with PyTorch's names and start values. */
import { tf } from '@graft/tf-graph';
import { trainedProduct } from '../../nn/linear.ts';
import { takeRows } from '../../nn/rows.ts';
import { PROMPT } from '../file-tensors.ts';
import type { AdapterParameter, EmbeddingWrapper, LayerContext } from '../tuner.ts';
import { drawn, normal, uniform } from './start-values.ts';

/** Ids from `vocabularySize` on select rows of the prompt; the base model embeds the other ids. */
export function virtualTokenEmbedding(vocabularySize: number): EmbeddingWrapper {
  return ({ parameter }, ids, base) => {
    // In float32, exact below 2²⁴, because TensorFlow computes with integers on the host even when a GPU is present.
    const id = tf.cast(ids, 'float32');
    const virtual = tf.greaterEqual(id, vocabularySize);
    const row = tf.maximum(tf.sub(id, vocabularySize), 0);
    const prompt = takeRows(parameter(PROMPT), tf.cast(row, 'int32'));
    const words = base(tf.cast(tf.where(virtual, tf.zerosLike(id), id), 'int32'));
    return tf.where(tf.expandDims(virtual, 1), prompt, words); // (N, H)
  };
}

/** torch.nn.Embedding: weight `(rows, width)`. */
export function embeddingTable(module: string, rows: number, width: number): AdapterParameter {
  return { name: `${module}.weight`, shape: [rows, width], init: drawn(rows * width, normal) };
}

/** torch.nn.Linear: weight `(out, width)` and bias `(out)`. */
export function linearLayer(module: string, out: number, width: number): AdapterParameter[] {
  return [
    { name: `${module}.weight`, shape: [out, width], init: drawn(out * width, uniform(width)) },
    { name: `${module}.bias`, shape: [out], init: drawn(out, uniform(width)) },
  ];
}

/** Applies the linear layer `module` to x `(n, in)`: `(n, out)`. */
export function affine({ parameter }: LayerContext, module: string, x: tf.Tensor): tf.Tensor {
  return tf.add(trainedProduct(x, parameter(`${module}.weight`)), parameter(`${module}.bias`));
}
