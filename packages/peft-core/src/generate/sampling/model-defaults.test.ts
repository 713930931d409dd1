import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBaseModel } from '../../files.ts';
import { samplingFields } from '../../schema/sampling-fields.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { type GenerateRequest, openGenerator } from '../generator.ts';
import { writeChainModel } from '../testing/chain-model.ts';
import { modelDefaults } from './model-defaults.ts';

test('generation_config.json says how tokens are chosen, as far as its values are possible', () => {
  assert.deepEqual(modelDefaults(null), {});
  assert.deepEqual(modelDefaults({ eos_token_id: 2, do_sample: true }), {});
  const all = { temperature: 0.7, top_p: 0.8, top_k: 20, min_p: 0.1, repetition_penalty: 1.05 };
  assert.deepEqual(modelDefaults({ ...all, do_sample: true, max_new_tokens: 5 }), all);
  assert.deepEqual(modelDefaults({ ...all, do_sample: false }), { ...all, temperature: 0 });
  const odd = { temperature: '0.7', top_p: 0, top_k: 2.5, min_p: -1, repetition_penalty: null };
  assert.deepEqual(modelDefaults(odd), {});
});

test("what a request leaves to the model is the model's, and what it says is its own", async () => {
  const at = tempFolder();
  const file = { temperature: 3, top_p: 0.9, top_k: 30, repetition_penalty: 1.2 };
  await writeChainModel(
    at('model'),
    [...'the courier left'].map((letter) => letter.codePointAt(0)!),
    file,
  );
  const base = await openBaseModel(at('model'));
  const generator = await openGenerator({ base, context: 64 });
  const generate = async (request: GenerateRequest) => {
    let text = '';
    const asked = { prompt: 't', max_tokens: 12, seed: 5, ...request };
    for await (const piece of generator.generate(asked)) text += piece.text;
    return text;
  };
  try {
    const greedy = await generate({});
    const fileText = await generate(file);
    assert.notEqual(fileText, greedy);
    assert.equal(await generate({ temperature: 1, top_p: 1, model_defaults: samplingFields }), fileText);
    const others = samplingFields.filter((name) => name !== 'temperature');
    const cold = await generate({ ...file, temperature: 0.5 });
    assert.notEqual(cold, fileText);
    assert.equal(await generate({ temperature: 0.5, model_defaults: others }), cold);
    // Each field has an effect.
    for (const other of [{ top_k: 2 }, { repetition_penalty: 1 }, { min_p: 0.9 }])
      assert.notEqual(await generate({ ...file, ...other }), fileText, JSON.stringify(other));
  } finally {
    await generator.close();
    await base.close();
  }
});
