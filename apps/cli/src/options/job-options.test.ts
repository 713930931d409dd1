import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FindMethod, peftArgument, trainingArgument } from './job-options.ts';

const find: FindMethod = async (asked) =>
  asked === 'IA3'
    ? { peftType: 'IA3', usual: {}, hasRank: false }
    : { peftType: 'LORA', usual: { r: 16, lora_alpha: 64, target_modules: 'all-linear' }, hasRank: true };

test('flags change the usual configuration of a method; without any the service chooses', async () => {
  const usual = { peft_type: 'LORA', lora_alpha: 64, target_modules: 'all-linear' };
  assert.equal(await peftArgument({}, find), undefined);
  assert.deepEqual(await peftArgument({ rank: 8 }, find), { ...usual, r: 8 });
  assert.deepEqual(await peftArgument({ peftType: 'LORA' }, find), { ...usual, r: 16 });
  assert.deepEqual(await peftArgument({ peftType: 'IA3' }, find), { peft_type: 'IA3' });
  assert.deepEqual(await peftArgument({ task: 'SEQ_CLS' }, find), { task_type: 'SEQ_CLS' });
  const ranked = { ...usual, r: 8, task_type: 'SEQ_CLS' };
  assert.deepEqual(await peftArgument({ task: 'SEQ_CLS', rank: 8 }, find), ranked);
  await assert.rejects(peftArgument({ peftType: 'IA3', rank: 8 }, find), /--rank: IA3 has no rank/);
});

test('a flag adds to JSON, and is refused where JSON has the same', async () => {
  assert.deepEqual(await peftArgument({ peft: '{"peft_type":"LORA"}', rank: 4 }, find), {
    peft_type: 'LORA',
    r: 4,
  });
  await assert.rejects(
    peftArgument({ peft: '{"peft_type":"LORA","r":8}', rank: 8 }, find),
    /--rank and --peft both set r: leave one out/,
  );
  await assert.rejects(
    peftArgument({ peft: '{"peft_type":"LORA"}', peftType: 'IA3' }, find),
    /--peft-type and --peft both set peft_type/,
  );
  assert.equal(trainingArgument({}), undefined);
  assert.deepEqual(trainingArgument({ training: '{"seed":1}', learningRate: 1e-4, maxSteps: 10 }), {
    seed: 1,
    learning_rate: 1e-4,
    max_steps: 10,
  });
  assert.deepEqual(trainingArgument({ method: 'dpo', beta: 0.2 }), { preference: { beta: 0.2 } });
  const preference = '{"preference":{"loss_type":"ipo"}}';
  assert.deepEqual(trainingArgument({ training: preference, beta: 0.2 }), {
    preference: { loss_type: 'ipo', beta: 0.2 },
  });
  assert.throws(() => trainingArgument({ method: 'supervised', beta: 0.2 }), /--method is supervised/);
  assert.throws(
    () => trainingArgument({ training: '{"max_steps":9}', maxSteps: 9 }),
    /--max-steps and --training both set max_steps/,
  );
  assert.throws(
    () => trainingArgument({ training: '{"n_epochs":2}' }, { n_epochs: 3 }),
    /--epochs and --training both set n_epochs/,
  );
});
