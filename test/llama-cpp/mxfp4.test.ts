/** Experts of gpt_oss in MXFP4: llama.cpp computes Graft's files as Graft does, and writing them again changes nothing. */
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
async function written(model: string, output: string, dtype: string, format = 'gguf'): Promise<string> {
  await mkdir(at(output));
  const base = await openBaseModel(model);
  try {
    const request = { adapterDir: at('nothing'), outputDir: at(output), options: { dtype }, name: output };
    const { notes } = await writeExport(format, { base, ...request });
    assert.deepEqual(notes, []);
    return format === 'gguf' ? at(output, 'model.gguf') : at(output);
  } finally {
    await base.close();
  }
}

const file = await written(at('model'), 'packed', 'mxfp4_moe');

test('llama.cpp computes the file as Graft does', { skip: !hasRuntime() }, async () => {
  const sequences = probesOf('gpt_oss');
  const difference = async (model: string) => {
    const { logprobs } = await runGguf({ model, sequences });
    return compareLogprobs(logprobs, await graftOutputs(model, null, sequences)).mean;
  };
  // llama.cpp rounds activations to 8 bits before it multiplies by packed weights of any type.
  const [mean, usual] = [await difference(file), await difference(await written(at('model'), 'q8', 'q8_0'))];
  assert.ok(mean < 2 * usual, `log-probabilities differ by ${mean} on average, those of q8_0 by ${usual}`);
});

for (const [form, format, options, stored] of [
  ['written again as they are', 'gguf', 'mxfp4_moe', 'MXFP4'],
  ['in a merged model in bfloat16', 'merged', 'stored', 'BF16'],
] as const)
  test(`experts in MXFP4 are ${form}`, async () => {
    const [first, again] = await Promise.all(
      [file, await written(file, format, options, format)].map((model) => openBaseModel(model)),
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
