/** Files of gpt_oss: experts in MXFP4, which llama.cpp computes as Graft does and which stay as they are; and what llama.cpp rounds. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeExport } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { graftOutputs } from '../golden/fixtures/graft-outputs.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { probesOf, randomModels, writeRandomAdapter, writeRandomModel } from './random-models.ts';
import { compareLogprobs, hasRuntime, runGguf } from './runtime.ts';

const folder = scratchFolder('llama-mxfp4');
const at = (...parts: string[]) => join(folder, ...parts);
// Rows of 64 and 96 values are whole blocks.
const config = randomModels.gpt_oss!;
await writeRandomModel(at('model'), config);
const peft = { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] };
await writeRandomAdapter(at('nothing'), { config, peft, deviation: 0 });

/** Exports a base model as it is. */
async function written(model: string, output: string, dtype: string, format = 'gguf') {
  await mkdir(at(output));
  const base = await openBaseModel(model);
  try {
    const request = { adapterDir: at('nothing'), outputDir: at(output), options: { dtype }, name: output };
    const { notes } = await writeExport(format, { base, ...request });
    return { file: format === 'gguf' ? at(output, 'model.gguf') : at(output), notes };
  } finally {
    await base.close();
  }
}

const sequences = probesOf('gpt_oss');
const differenceOf = async (gguf: string, model: string) => {
  const { logprobs } = await runGguf({ model: gguf, sequences });
  return compareLogprobs(logprobs, await graftOutputs(model, null, sequences)).mean;
};

const { file, notes } = await written(at('model'), 'packed', 'mxfp4_moe');
assert.deepEqual(notes, []);

test('llama.cpp computes the file as Graft does', { skip: !hasRuntime() }, async () => {
  // llama.cpp rounds activations to 8 bits before it multiplies by packed weights of any type.
  const { file: other } = await written(at('model'), 'q8', 'q8_0');
  const [mean, usual] = [await differenceOf(file, file), await differenceOf(other, other)];
  assert.ok(mean < 2 * usual, `log-probabilities differ by ${mean} on average, those of q8_0 by ${usual}`);
});

for (const [form, format, options, stored] of [
  ['written again as they are', 'gguf', 'mxfp4_moe', 'MXFP4'],
  ['in a merged model in bfloat16', 'merged', 'stored', 'BF16'],
] as const)
  test(`experts in MXFP4 are ${form}`, async () => {
    const [first, again] = await Promise.all(
      [file, (await written(file, format, options, format)).file].map((model) => openBaseModel(model)),
    );
    try {
      const experts = first!.tensors.names().filter((name) => /experts\.(gate_up|down)_proj$/.test(name));
      assert.equal(experts.length, 8);
      for (const name of experts) {
        assert.deepEqual(
          [first!, again!].map(({ tensors }) => tensors.info(name).dtype),
          ['MXFP4', stored],
        );
        assert.deepEqual(
          await again!.tensors.readFloat32(name),
          await first!.tensors.readFloat32(name),
          name,
        );
      }
    } finally {
      await Promise.all([first!.close(), again!.close()]);
    }
  });

test('bounds of yarn that are fractions are rounded, as a note says', { skip: !hasRuntime() }, async () => {
  const rope = { ...(config.rope_parameters as object), rope_theta: 1000 };
  for (const truncate of [false, true])
    await writeRandomModel(at(String(truncate)), { ...config, rope_parameters: { ...rope, truncate } });
  const { file, notes } = await written(at('false'), 'rounded', 'f32');
  assert.match(notes.join(), /rounds the bounds of yarn scaling.* 2 of its 8 rotations/);
  assert.ok((await differenceOf(file, at('true'))) < 1e-5);
  assert.ok((await differenceOf(file, at('false'))) > 1e-4);
});
