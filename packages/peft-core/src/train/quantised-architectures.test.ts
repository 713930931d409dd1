/** Tests quantised bases of all kinds: weights that are stored transposed, those of experts, convolutions, encoders, encoder-decoders. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBaseModel } from '../files.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../testing/train-adapter.ts';

/**
 * `drift`: how much further apart the curves are. What gated DeltaNet layers add to the stream, and values in Gemma 4, is normed to length,
 * errors included; the scores of Gemma 4 have no scale, so that small errors move much of its attention.
 */
const families = {
  qwen3_5_text: {
    task_type: 'CAUSAL_LM',
    drift: 3,
    line: (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 3}` }),
  },
  granitemoehybrid: {
    task_type: 'CAUSAL_LM',
    drift: 1,
    line: (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 3}` }),
  },
  gemma4_text: {
    task_type: 'CAUSAL_LM',
    drift: 8,
    line: (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 3}` }),
  },
  gpt2: {
    task_type: 'CAUSAL_LM',
    drift: 1,
    line: (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 3}` }),
  },
  qwen3_moe: {
    task_type: 'CAUSAL_LM',
    drift: 1,
    line: (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 3}` }),
  },
  gpt_oss: {
    task_type: 'CAUSAL_LM',
    drift: 1,
    line: (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 3}` }),
  },
  bert: {
    task_type: 'SEQ_CLS',
    drift: 1,
    line: (i: number) => ({ text: 'ab'[i % 2]!.repeat(2 + (i % 5)), label: i % 2 }),
  },
  t5: { task_type: 'SEQ_2_SEQ_LM', drift: 1, line: (i: number) => ({ text: `${i}:`, target: `${i % 3}` }) },
} as const;

let root: string;
const at = (...names: string[]) => path.join(root, ...names);

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-quantised-families-'));
  for (const [name, { line }] of Object.entries(families)) {
    await writeTinyModel(at(name), tinyFamilies[name as keyof typeof families]);
    const lines = Array.from({ length: 16 }, (_, i) => JSON.stringify(line(i)));
    await writeFile(at(`${name}.jsonl`), lines.join('\n'));
  }
});
after(() => rm(root, { recursive: true }));

for (const [name, { task_type, drift }] of Object.entries(families)) {
  test(`${name}: int8 and nf4 learn close to the fp32 curve`, async () => {
    const base = await openBaseModel(at(name));
    const losses = async (base_dtype: 'fp32' | 'int8' | 'nf4') => {
      const options = trainOptions({
        base,
        trainingFile: at(`${name}.jsonl`),
        exampleCount: 16,
        peft: { peft_type: 'LORA', task_type, r: 4, target_modules: 'all-linear' },
        training: { n_epochs: 4, learning_rate: 0.01, batch_size: 4, precision: 'fp32', base_dtype },
        outputDir: at(`${name}-${base_dtype}`),
      });
      return (await trainAdapter(options)).losses;
    };
    const wide = await losses('fp32');
    const mean = (some: number[]) => some.reduce((sum, loss) => sum + loss, 0) / some.length;
    for (const [dtype, bound] of [
      ['int8', 0.02 * drift],
      ['nf4', 0.1 * drift],
    ] as const) {
      const found = await losses(dtype);
      const apart = found.map((loss, i) => Math.abs(loss - wide[i]!));
      assert.ok(Math.max(...apart) < bound, `${dtype}: ${found} and ${wide}`);
      // A quantised base is another base, so the loss differs from the first step on.
      assert.ok(apart[0]! > 0, `${dtype} is fp32`);
      assert.ok(mean(found.slice(-4)) < mean(found.slice(0, 4)), `${dtype}: nothing was learned: ${found}`);
    }
    await base.close();
  });
}
