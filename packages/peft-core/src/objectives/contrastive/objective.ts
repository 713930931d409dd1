import { accuracy } from '../accuracy.ts';
import type { Objective, Outcome } from '../objective.ts';

/** Default number of pairs in a batch: each uses the texts of all others as negatives. */
const usualBatch = 32;

/** Returns true if the pairs were ranked in pools; jobs of earlier versions measure them batch by batch. */
const isRanked = ({ means }: Outcome) => means.reciprocal_rank !== undefined;

/** As in `encode_document` of sentence-transformers. */
const document = ['document', 'passage', 'corpus'];

/** Cross entropy of an anchor's own positive among the texts of the batch. */
export const contrastive = {
  name: 'contrastive',
  method: 'supervised',
  formats: ['pairs'],
  tasks: ['FEATURE_EXTRACTION'],
  options: {},
  promptColumns: { anchor: ['query'], positive: document, negative: document },
  refuses: { label_smoothing_factor: 'is of tokens and classes, and FEATURE_EXTRACTION has neither' },
  metrics: [
    accuracy,
    {
      name: 'recall_at_1',
      label: 'Recall@1',
      unit: 'share',
      better: 'higher',
      measured: ['evaluation'],
      field: 'token_accuracy',
      forBestModel: 'eval_recall_at_1',
      measure: (outcome) => (isRanked(outcome) ? outcome.accuracy : null),
    },
    {
      name: 'recall_at_10',
      label: 'Recall@10',
      unit: 'share',
      better: 'higher',
      measured: ['evaluation'],
      forBestModel: 'eval_recall_at_10',
      column: 'recallAt10',
      measure: ({ means }) => means.among_ten ?? null,
    },
    {
      name: 'mrr',
      label: 'Mean reciprocal rank',
      unit: 'number',
      better: 'higher',
      measured: ['evaluation'],
      forBestModel: 'eval_mrr',
      column: 'mrr',
      measure: ({ means }) => means.reciprocal_rank ?? null,
    },
  ],
  passes: ['policy'],
  batch: { usual: usualBatch, why: `for ${usualBatch - 1} other pairs, whose texts are negatives` },
  keepsBatch: true,
} as const satisfies Objective;
