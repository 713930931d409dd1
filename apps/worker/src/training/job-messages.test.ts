import assert from 'node:assert/strict';
import { it } from 'node:test';
import { hasStepEvent, skippedCheckpointMessage, startMessage, stepMessage } from './job-messages.ts';

const step = (at: number, totalSteps: number) => ({
  type: 'step' as const,
  step: at,
  totalSteps,
  epoch: 0,
  loss: 0.4123,
  tokenAccuracy: 0,
  learningRate: 0,
  gradNorm: 0,
  tokens: 0,
  tokensPerSecond: 0,
  memoryBytes: 0,
  secondsRemaining: 0,
});

it('reports about fifty steps, whatever their number', () => {
  for (const total of [1, 7, 50, 96, 1000, 123_457]) {
    const withEvent = Array.from({ length: total }, (_, i) => step(i + 1, total)).filter(hasStepEvent);
    assert.ok(withEvent.length <= 53, `${withEvent.length} of ${total}`);
    assert.ok(withEvent.length >= Math.min(total, 25), `${withEvent.length} of ${total}`);
    assert.equal(withEvent.at(-1)?.step, total);
    assert.equal(withEvent[0]?.step, 1);
  }
});

it('says it for people', () => {
  assert.equal(stepMessage(step(40, 96)), 'Step 40/96: training loss 0.41');
});

it('names the checkpoint that training resumes from, and those that were skipped', () => {
  const start = {
    type: 'start' as const,
    trainableParameters: 10,
    totalParameters: 1000,
    totalSteps: 40,
    examples: 8,
    tokensPerEpoch: 100,
    paddingFraction: 0,
    resumedFrom: null,
    trials: null,
    passedOver: [],
    precision: 'fp32' as const,
    sharing: { savedFraction: 0, message: '' },
  };
  const training = 'Training 10 of 1,000 parameters (1.0 %) for 40 steps';
  assert.equal(startMessage(start), training);
  assert.equal(
    startMessage({ ...start, resumedFrom: 20 }),
    `${training}, resumed from the checkpoint at step 20`,
  );
  assert.equal(
    skippedCheckpointMessage({ step: 500, reason: 'another version of Graft wrote it' }),
    'The checkpoint at step 500 is not continued: another version of Graft wrote it',
  );
});
