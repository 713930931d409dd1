import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MetricLog } from '@graft/peft-core/checkpoints';
import { rowsOf, stepRow } from './metric-rows.ts';
import { partsOf } from './untrusted/trainer-reports.ts';

const step = {
  epoch: 0.5,
  loss: 2,
  tokenAccuracy: 0.5,
  learningRate: 1e-4,
  gradNorm: 1,
  tokens: 64,
  tokensPerSecond: 9,
  memoryBytes: 7e9,
};

const rows = ({ series }: MetricLog) => [
  ...rowsOf([...partsOf({ trial: null, offset: 0, firstStep: 1, series })]),
];

it('turns a series into the rows of its steps, with the memory at each', () => {
  const log = new MetricLog(null);
  log.addStep(step);
  log.addStep({ ...step, memoryBytes: 8e9 });
  log.addEvaluation({ step: 2, loss: 3, tokenAccuracy: null, metrics: { mrr: 0.5, macro_f1: 0.25 } });
  const [first, second, evaluation] = rows(log);
  assert.deepEqual(first, stepRow({ ...step, step: 1 }));
  assert.deepEqual([first!.metrics.memory_bytes, second!.metrics.memory_bytes], [7e9, 8e9]);
  assert.deepEqual(evaluation!.metrics, { mrr: 0.5 }, 'those that a checkpoint has, and no NaN');
});

it('has no memory of steps of a version that did not measure it', () => {
  const log = new MetricLog(null);
  log.addStep({ ...step, memoryBytes: Number.NaN });
  assert.equal(rows(log)[0]!.metrics.memory_bytes, undefined);
});
