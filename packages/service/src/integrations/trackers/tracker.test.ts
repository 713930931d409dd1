import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredMetric } from '../../jobs/records/read-metrics.ts';
import { valuesOf } from './tracker.ts';

test('a point has what was measured, one of a sweep whose it is', () => {
  const point: StoredMetric = {
    kind: 'train',
    step: 7,
    epoch: 0.5,
    loss: 2,
    tokens: null,
    metrics: {},
    createdAt: new Date(),
  };
  assert.deepEqual(valuesOf(point), { 'train/loss': 2, 'train/epoch': 0.5 });
  assert.deepEqual(valuesOf({ ...point, trial: 3, trialStep: 2 }), {
    'train/loss': 2,
    'train/epoch': 0.5,
    'train/trial': 3,
  });
  assert.deepEqual(valuesOf({ ...point, metrics: { memory_bytes: 7e9 } }), {
    'train/loss': 2,
    'train/epoch': 0.5,
    'train/memory_bytes': 7e9,
  });
  const evaluation: StoredMetric = { ...point, kind: 'evaluation', metrics: { macro_f1: 0.5 }, trial: 3 };
  assert.deepEqual(valuesOf(evaluation), { 'eval/loss': 2, 'eval/macro_f1': 0.5, 'eval/trial': 3 });
  const setMetrics = { eval_maths_loss: 1, eval_maths_recall_at_1: 0.5, recall_at_1: 0.25 };
  assert.deepEqual(valuesOf({ ...point, kind: 'evaluation', metrics: setMetrics }), {
    'eval/loss': 2,
    'eval/maths_loss': 1,
    'eval/maths_recall_at_1': 0.5,
    'eval/recall_at_1': 0.25,
  });
});
