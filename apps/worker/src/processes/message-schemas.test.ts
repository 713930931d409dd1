import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reports } from '@graft/peft-core/reports';
import { checkerOf } from './message-schemas.ts';

test('advice has options, lists of them only in `preference`, and nothing deeper', () => {
  const check = checkerOf(reports);
  const faultOf = (tried: unknown) =>
    check({ type: 'advice', kind: 'chosen_unlikely', step: 40, message: 'Try it.', try: tried });
  const preference = { loss_type: ['sigmoid', 'sft'], loss_weights: [1, 1], beta: 0.2 };
  assert.equal(faultOf({ learning_rate: 1e-6, preference }), null);
  assert.equal(faultOf({ load_best_model_at_end: true, max_steps: null }), null);
  for (const bad of [
    { learning_rate: [1] },
    { preference: { beta: { a: 1 } } },
    { preference: { loss_type: Array.from({ length: 9 }, () => 'sft') } },
    { preference: { loss_type: [['sft']] } },
  ])
    assert.notEqual(faultOf(bad), null, JSON.stringify(bad));
});
