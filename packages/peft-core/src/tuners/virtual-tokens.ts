import { tf } from '@graft/tf-graph';
import { takeRows } from '../nn/rows.ts';
import type { EmbeddingWrapper } from './tuner.ts';

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
