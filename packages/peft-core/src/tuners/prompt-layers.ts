/** Layers of soft prompts: virtual tokens, and what encoders are made of, with PyTorch's names and start values. */
import { tf } from '@graft/tf-graph';
import { trainedProduct } from '../nn/linear.ts';
import { takeRows } from '../nn/rows.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import type { AdapterParameter, EmbeddingWrapper, LayerContext, ParameterInit } from './tuner.ts';

/** The key of a soft prompt in adapter_model.safetensors, and the name of what an encoder gives. */
export const PROMPT = 'prompt_embeddings';

/** Ids from `vocabularySize` on are rows of the prompt; the base model embeds the others. */
export function virtualTokenEmbedding(vocabularySize: number): EmbeddingWrapper {
  return ({ parameter }, ids, base) => {
    const row = tf.sub(ids, tf.scalar(vocabularySize, 'int32'));
    const virtual = tf.greaterEqual(row, 0);
    const zeros = tf.zerosLike(ids);
    const prompt = takeRows(parameter(PROMPT), tf.where(virtual, row, zeros));
    const words = base(tf.where(virtual, zeros, ids));
    return tf.where(tf.expandDims(virtual, 1), prompt, words); // (N, H)
  };
}

/** torch.nn.Embedding: normal numbers. */
export function embeddingTable(module: string, rows: number, width: number): AdapterParameter {
  const draw: ParameterInit = {
    kind: 'draw',
    draw: (random) => Float32Array.from({ length: rows * width }, () => random.normal()),
  };
  return { name: `${module}.weight`, shape: [rows, width], init: draw };
}

/** torch.nn.Linear: weight `(out, in)` and bias `(out)`, uniform within ±1/√in. */
export function linearLayer(module: string, out: number, width: number): AdapterParameter[] {
  return [
    { name: `${module}.weight`, shape: [out, width], init: uniform([out, width], width) },
    { name: `${module}.bias`, shape: [out], init: uniform([out], width) },
  ];
}

/** Uniform within ±1/√width. */
export function uniform(shape: number[], width: number): ParameterInit {
  const length = elementCount(shape);
  return {
    kind: 'draw',
    draw: (random) => Float32Array.from({ length }, () => (2 * random.uniform() - 1) / Math.sqrt(width)),
  };
}

/** x `(n, in)` through the linear layer `module`: `(n, out)`. */
export function affine({ parameter }: LayerContext, module: string, x: tf.Tensor): tf.Tensor {
  return tf.add(trainedProduct(x, parameter(`${module}.weight`)), parameter(`${module}.bias`));
}
