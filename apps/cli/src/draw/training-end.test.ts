import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOfJob } from './training-end.ts';

test('how training ended is reported where it was not simply the last step', () => {
  const best = { step: 30, metric: 'eval_loss', value: 0.5 };
  const end = { step: 50, total_steps: 90, reason: 'early_stopping', published_step: 30, best } as const;
  assert.equal(
    endOfJob({ training_end: end }),
    'early at step 50 of 90; step 30 is published, the best eval_loss: 0.5000',
  );
  const whole = { ...end, step: 90, reason: 'completed', published_step: 90 } as const;
  assert.equal(endOfJob({ training_end: whole }), null);
  assert.equal(endOfJob({ training_end: null }), null);
});
