import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inferPeft, needsModelTask } from './task-formats.ts';

test('a request gets the method and the task that it leaves out', () => {
  assert.equal(inferPeft(undefined, 'chat', 'CAUSAL_LM'), undefined);
  assert.equal(inferPeft(undefined, null, 'FEATURE_EXTRACTION'), undefined);
  const classifier = { peft_type: 'LORA', task_type: 'SEQ_CLS' };
  assert.deepEqual(inferPeft(undefined, 'classification', 'CAUSAL_LM'), classifier);
  assert.deepEqual(inferPeft({ r: 4 }, 'classification', null), { ...classifier, r: 4 });
  assert.deepEqual(inferPeft({ peft_type: 'IA3' }, 'pairs', null), {
    peft_type: 'IA3',
    task_type: 'FEATURE_EXTRACTION',
  });
  const given = { peft_type: 'LORA', task_type: 'CAUSAL_LM' };
  assert.deepEqual(inferPeft(given, 'classification', null), given);
  for (const invalid of [null, 7, []]) assert.equal(inferPeft(invalid, 'chat', null), invalid);
  // Lines that two tasks train on follow the base model.
  assert.deepEqual([needsModelTask({}, 'prompt_completion'), needsModelTask({}, 'chat')], [true, false]);
  assert.equal(needsModelTask(given, 'prompt_completion'), false);
  const prompts = inferPeft(undefined, 'prompt_completion', 'SEQ_2_SEQ_LM');
  assert.deepEqual(prompts, { peft_type: 'LORA', task_type: 'SEQ_2_SEQ_LM' });
  assert.equal(inferPeft(undefined, 'prompt_completion', 'CAUSAL_LM'), undefined);
});
