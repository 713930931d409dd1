import assert from 'node:assert/strict';
import { it } from 'node:test';
import { stepMessage, tellsOf } from './job-messages.ts';

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
  secondsRemaining: 0,
});

it('tells of some fifty steps, whatever their number', () => {
  for (const total of [1, 7, 50, 96, 1000, 123_457]) {
    const told = Array.from({ length: total }, (_, i) => step(i + 1, total)).filter(tellsOf);
    assert.ok(told.length <= 53, `${told.length} of ${total}`);
    assert.ok(told.length >= Math.min(total, 25), `${told.length} of ${total}`);
    assert.equal(told.at(-1)?.step, total);
    assert.equal(told[0]?.step, 1);
  }
});

it('says it for people', () => {
  assert.equal(stepMessage(step(40, 96)), 'Step 40/96: training loss 0.41');
});
