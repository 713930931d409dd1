import { type EmbeddingsOf, embeddingFeeds, embeddingInputs, embeddings } from '../embeddings/embeddings.ts';
import type { ObjectiveLoss } from '../objective-loss.ts';
import { defineMiniBatches } from './cached-contrast.ts';
import { contrast } from './contrast.ts';
import { defineMeasure } from './retrieval.ts';

/** Cross entropy of an anchor's own positive among the texts of the batch; a large batch is embedded in mini-batches. */
export const contrastiveLoss: ObjectiveLoss<keyof EmbeddingsOf<unknown>> = {
  inputs: embeddingInputs,
  feeds: embeddingFeeds,
  wanted: () => [],
  loss: (forward, inputs) => contrast(embeddings(forward, inputs), inputs),
  defineMiniBatches,
  defineMeasure,
};
