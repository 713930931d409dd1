/** Greedy decoding with an adapter gives the tokens of HF PEFT's models; soft prompts are in Graft's cache. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openGenerator } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { scoreInPython } from './fixtures/score-in-python.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { architectures } from './matrix/architectures.ts';

const folder = scratchFolder('adapter-generation');
const prompt = 'The tree bears new fruit:';
const endOfText = 2;
const soft = { num_virtual_tokens: 5 };
const lora = { peft_type: 'LORA', r: 8, lora_alpha: 64, target_modules: 'all-linear' };
const adapters: Record<string, Record<string, Record<string, unknown>>> = {
  llama: {
    lora,
    prompt_tuning: { peft_type: 'PROMPT_TUNING', ...soft },
    p_tuning: { peft_type: 'P_TUNING', encoder_hidden_size: 12, ...soft },
    'p_tuning by lstm': { peft_type: 'P_TUNING', encoder_reparameterization_type: 'LSTM', ...soft },
    prefix_tuning: { peft_type: 'PREFIX_TUNING', ...soft },
    'prefix_tuning by projection': { peft_type: 'PREFIX_TUNING', prefix_projection: true, ...soft },
  },
  gpt2: {
    prompt_tuning: { peft_type: 'PROMPT_TUNING', ...soft },
    prefix_tuning: { peft_type: 'PREFIX_TUNING', ...soft },
  },
  t5: {
    lora,
    prompt_tuning: { peft_type: 'PROMPT_TUNING', ...soft },
    prefix_tuning: { peft_type: 'PREFIX_TUNING', ...soft },
  },
};

const rows = Object.keys(adapters).map((name) => architectures.find((row) => row.name === name)!);
const modelOf = (model: string) => join(folder, model);
const adapterOf = (model: string, adapter: string) => join(folder, `${model}, ${adapter}`);
const cases = rows.flatMap(({ name, task }) =>
  Object.entries(adapters[name]!).map(([adapter, config]) => ({ model: name, task, adapter, config })),
);
await runPythonJson('matrix_models.py', [], {
  models: rows.map(({ name, task, config }, i) => ({ output: modelOf(name), task, config, seed: 40 + i })),
  adapters: cases.map(({ model, task, adapter, config }, i) => ({
    model: modelOf(model),
    task,
    config: { ...config, task_type: task },
    output: adapterOf(model, adapter),
    seed: 60 + i,
  })),
});
const { tokenizerFiles, close } = await openBaseModel(modelOf('llama'));
await close();
const ids = loadTokenizer(tokenizerFiles).encode(prompt);
const inputsFor = (task: string) => (task === 'SEQ_2_SEQ_LM' ? [{ input_ids: ids, labels: [5] }] : [ids]);
const scored = await scoreInPython([
  ...cases.map(({ model, task, adapter }) => ({
    model: modelOf(model),
    adapter: adapterOf(model, adapter),
    task,
    inputs: inputsFor(task),
  })),
  ...rows.map(({ name, task }) => ({ model: modelOf(name), adapter: null, task, inputs: inputsFor(task) })),
]);
const plain = new Map(rows.map(({ name }, i) => [name, scored[cases.length + i]!.greedy]));

for (const { name } of rows) {
  const base = await openBaseModel(modelOf(name));
  const generator = await openGenerator({ base, context: 64 });
  for (const [i, { adapter }] of cases.entries()) {
    if (cases[i]!.model !== name) continue;
    test(`${name}, ${adapter}: answers as with HF PEFT`, async () => {
      const found: number[] = [];
      const request = { adapter: adapterOf(name, adapter), prompt, max_tokens: 8 };
      for await (const { tokenId } of generator.generate(request)) found.push(tokenId);
      const { greedy, mismatch } = scored[i]!;
      assert.deepEqual(mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
      assert.deepEqual(
        found.filter((id) => id !== -1),
        greedy.filter((id) => id !== endOfText),
      );
      assert.notDeepEqual(greedy, plain.get(name), 'the adapter changes nothing');
    });
  }
  test(`${name}: the adapters leave the base model as it is`, async () => {
    const found: number[] = [];
    for await (const { tokenId } of generator.generate({ prompt, max_tokens: 8 })) found.push(tokenId);
    await generator.close();
    await base.close();
    assert.deepEqual(
      found.filter((id) => id !== -1),
      plain.get(name)!.filter((id) => id !== endOfText),
    );
  });
}
