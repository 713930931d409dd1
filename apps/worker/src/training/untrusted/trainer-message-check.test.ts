import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '@graft/peft-core/reports';
import { TrainerMessageCheck } from './trainer-message-check.ts';

const start = { type: 'start', totalSteps: 10, resumedFrom: null, passedOver: [], trials: null };
const step = (at: number) => ({ type: 'step', step: at, totalSteps: 10, tokens: at });
const reference = (done: number, of = 8) => ({ type: 'reference', done, of });

const inputs = (done: number, ended = false, of = 8) => ({ type: 'inputs', done, of, ended });

/** Which of these records of a job are accepted. `candidates`: steps of checkpoints that it may resume from. */
function accepted(records: object[], candidates: number[] = [], training: object = {}): boolean[] {
  const check = new TrainerMessageCheck({
    trials: null,
    training: training as never,
    checkpoints: { dir: '/checkpoints', candidates: candidates.map((at) => ({ step: at }) as never) },
    maxSteps: 10,
    stop: new AbortController().signal,
  });
  return records.map((record) => check.refuse({ type: 'record', record: record as Report }) === null);
}

test('the reference pass is reported after the start and before the first step', () => {
  const inOrder = [start, reference(3), reference(8), step(1), step(2)];
  assert.deepEqual(accepted(inOrder), [true, true, true, true, true]);
  assert.deepEqual(accepted([reference(8)]), [false]);
  assert.deepEqual(accepted([start, step(1), reference(8)]), [true, true, false]);
  assert.deepEqual(accepted([{ ...start, resumedFrom: 5 }, reference(8)], [5]), [true, false]);
});

test('the rate is decided at the end of the reference pass, in jobs that have another one', () => {
  const decided = { preferred: 1, logp: -0.3, isKnown: true };
  const training = { learning_rate_if_known: 1e-6 };
  assert.deepEqual(accepted([start, { ...reference(8), decided }], [], training), [true, true]);
  assert.deepEqual(accepted([start, { ...reference(3), decided }], [], training), [true, false]);
  assert.deepEqual(accepted([start, { ...reference(8), decided }]), [true, false]);
});

test('the pass over inputs is reported after the start, goes forward, ends once, and comes before all other passes', () => {
  const inOrder = [start, inputs(3), inputs(5, true), reference(8), step(1)];
  assert.deepEqual(accepted(inOrder), [true, true, true, true, true]);
  assert.deepEqual(accepted([inputs(8)]), [false]);
  assert.deepEqual(accepted([start, step(1), inputs(8)]), [true, true, false]);
  assert.deepEqual(accepted([start, reference(8), inputs(8)]), [true, true, false]);
  assert.deepEqual(accepted([{ ...start, resumedFrom: 5 }, inputs(8)], [5]), [true, false]);
  assert.deepEqual(accepted([start, inputs(3), inputs(3)]), [true, true, false]);
  assert.deepEqual(accepted([start, inputs(3, true), inputs(4)]), [true, true, false]);
  assert.deepEqual(accepted([start, inputs(3), inputs(9, false, 9)]), [true, true, false]);
  assert.deepEqual(accepted([start, inputs(9)]), [true, false]);
});

test('the reference pass goes forward, once, over one number of examples', () => {
  assert.deepEqual(accepted([start, reference(3), reference(3)]), [true, true, false]);
  assert.deepEqual(accepted([start, reference(3), reference(2)]), [true, true, false]);
  assert.deepEqual(accepted([start, reference(9)]), [true, false]);
  assert.deepEqual(accepted([start, reference(3), reference(9, 9)]), [true, true, false]);
  assert.deepEqual(accepted([start, reference(8), reference(8)]), [true, true, false]);
  assert.deepEqual(accepted([start, reference(0, 0)]), [true, false]);
});
