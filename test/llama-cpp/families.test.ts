/**
 * Random models of every family, exported as GGUF and opened by llama.cpp, give the log-probabilities that Graft computes: with an adapter
 * in their weights (gguf), and with it in a separate file (gguf-lora).
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeExport } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { graftOutputs } from '../golden/fixtures/graft-outputs.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { adapterOf, probesOf, randomModels, writeRandomAdapter, writeRandomModel } from './random-models.ts';
import { compareLogprobs, hasRuntime, type LlamaJob, runGguf } from './runtime.ts';

const folder = scratchFolder('llama-families');

/** Bounds of log-probabilities. llama.cpp looks a GELU up in a table of float16. */
const exact = { mean: 1e-5, largest: 5e-5 };
const byTable = { mean: 0.004, largest: 0.05 };
const bounds: Record<string, typeof exact> = {
  gemma3_text: byTable,
  gemma3: byTable,
  gemma4_text: byTable,
  gemma4: byTable,
  gpt2: byTable,
};

for (const [name, config] of Object.entries(randomModels)) {
  test(name, { skip: !hasRuntime() }, async () => {
    const at = (...parts: string[]) => join(folder, name.replaceAll(/\W+/g, '-'), ...parts);
    const model = at('model');
    await writeRandomModel(model, config);
    const peft = adapterOf(config);
    await writeRandomAdapter(at('adapter'), { config, peft, deviation: 0.1 });
    await writeRandomAdapter(at('nothing'), { config, peft, deviation: 0 });
    const base = await openBaseModel(model);
    const write = async (format: string, adapter: string, output: string) => {
      await mkdir(at(output));
      const options = format === 'gguf' ? { dtype: 'f32' } : {};
      return writeExport(format, { base, adapterDir: at(adapter), outputDir: at(output), options, name });
    };
    try {
      await write('gguf', 'adapter', 'merged');
      await write('gguf', 'nothing', 'base');
      await write('gguf-lora', 'adapter', 'lora');
    } finally {
      await base.close();
    }
    const probes = probesOf(name);
    const expected = await graftOutputs(model, at('adapter'), probes);
    const scores = async (job: Omit<LlamaJob, 'sequences'>) =>
      (await runGguf({ ...job, sequences: probes })).logprobs;
    const baseJob = { model: at('base', 'model.gguf') };
    const plain = await scores(baseJob);
    assert.ok(compareLogprobs(plain, expected).mean > 0.3, 'the adapter changes too little to be tested');
    const bound = bounds[config.model_type] ?? exact;
    const check = (format: string, found: number[][]) => {
      const { mean, largest } = compareLogprobs(found, expected);
      const text = `${format}: log-probabilities differ by ${mean} on average, and by ${largest} at most`;
      assert.ok(mean < bound.mean && largest < bound.largest, text);
    };
    check('gguf', await scores({ model: at('merged', 'model.gguf') }));
    check('gguf-lora', await scores({ ...baseJob, adapter: at('lora', 'adapter.gguf') }));
  });
}
