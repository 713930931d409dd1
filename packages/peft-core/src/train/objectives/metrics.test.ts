import assert from 'node:assert/strict';
import { test } from 'node:test';
import { correlation, f1OfSets, macroF1, metricsOf, ranks } from './metrics.ts';

const near = (found: number, expected: number) => assert.ok(Math.abs(found - expected) < 1e-9, `${found}`);

test('macro F1 is the mean over all classes that are wanted or predicted', () => {
  // Class 0: 2 hits of 3 wanted and 2 predicted; class 1: 1 of 1 and 2; class 2: 0 of 1 and 0; class 3: 0 of 0 and 1.
  near(macroF1([0, 0, 0, 1, 2], [0, 0, 3, 1, 1]), (4 / 5 + 2 / 3 + 0 + 0) / 4);
  near(macroF1([1, 0], [1, 0]), 1);
});

test('of texts with several labels F1 is that of all classes together, and the mean of each', () => {
  // f1_score([[1, 0, 0], [1, 1, 0], [0, 0, 0]], [[1, 1, 0], [1, 0, 0], [0, 0, 0]], average=…, zero_division=0) of scikit-learn
  const { micro_f1, macro_f1 } = f1OfSets([1, 0, 0, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0, 0], 3);
  near(micro_f1, 2 / 3);
  near(macro_f1, 1 / 3);
});

test('ranks share their places among equals', () => {
  assert.deepEqual(ranks([0.5, 0.1, 0.5, 0.9]), [2.5, 1, 2.5, 4]);
});

test('correlations: straight, reversed, and none to speak of', () => {
  near(correlation([1, 2, 3], [10, 20, 30]), 1);
  near(correlation([1, 2, 3], [3, 2, 1]), -1);
  // Anscombe's first set, 1973.
  const x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5];
  const y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
  assert.ok(Math.abs(correlation(x, y) - 0.81642) < 1e-5);
  assert.equal(correlation([1, 1], [0, 1]), 0);
});

test('each task tells its own measures', () => {
  const common = { loss: 2, tokenAccuracy: 0.5, wanted: [0, 1], predicted: [0, 0] };
  const names = (more: Pick<Parameters<typeof metricsOf>[0], 'objective' | 'task'>) =>
    Object.keys(metricsOf({ ...common, ...more }));
  assert.deepEqual(names({ objective: 'labels', task: 'CAUSAL_LM' }), ['token_accuracy', 'perplexity']);
  assert.deepEqual(names({ objective: 'labels', task: 'SEQ_CLS' }), ['accuracy', 'macro_f1']);
  const sets = { objective: { classes: 2 }, task: 'SEQ_CLS' } as const;
  assert.deepEqual(names(sets), ['accuracy', 'micro_f1', 'macro_f1']);
  assert.deepEqual(names({ objective: 'contrastive', task: 'FEATURE_EXTRACTION' }), ['accuracy']);
  const ranks = { amongTen: 0.75, reciprocal: 0.6 };
  assert.deepEqual(metricsOf({ ...common, objective: 'contrastive', task: 'FEATURE_EXTRACTION', ranks }), {
    accuracy: 0.5,
    recall_at_1: 0.5,
    recall_at_10: 0.75,
    mrr: 0.6,
  });
  assert.deepEqual(names({ objective: 'cosine', task: 'FEATURE_EXTRACTION' }), ['pearson', 'spearman']);
  near(metricsOf({ ...common, objective: 'labels', task: 'CAUSAL_LM' }).perplexity!, Math.exp(2));
});
