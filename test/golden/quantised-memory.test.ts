/** The real model: what its linear weights take in a running trainer, by TensorFlow's own memory log. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { measureWeights } from '../../bench/quantised-base/measure-weights.ts';
import { writeExamples } from './fixtures/example-data.ts';
import { realModel } from './fixtures/real-model.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';

const folder = scratchFolder('quantised-memory');
const file = join(folder, 'chat.jsonl');
const exampleCount = 8;
await writeExamples(file, 'chat', exampleCount);
const model = await realModel();
const peft = parsePeftConfig({ peft_type: 'LORA', r: 8, target_modules: ['q_proj', 'v_proj'] });

async function linearBytes(base_dtype: 'fp32' | 'int8' | 'nf4'): Promise<{ bytes: number; values: number }> {
  const { held, model: sizes } = await measureWeights({
    model,
    trainingFile: file,
    heldOutFile: file,
    peft,
    training: resolveTraining({
      peft,
      training: { base_dtype, precision: 'fp32', batch_size: 2 },
      exampleCount,
    }),
    adapter: join(folder, base_dtype),
  });
  return { bytes: held.linear, values: sizes.linearValues };
}

const fp32 = await linearBytes('fp32');

test('fp32: the log reports four bytes a weight', () => {
  assert.equal(fp32.bytes, 4 * fp32.values);
  assert.ok(fp32.values > 100e6);
});

for (const [dtype, share, codeBytes] of [
  ['int8', 0.27, 1],
  ['nf4', 0.16, 0.5],
] as const) {
  test(`${dtype}: linear weights take at most ${share} of their fp32 bytes`, async () => {
    const { bytes } = await linearBytes(dtype);
    assert.ok(bytes <= share * fp32.bytes, `${bytes} of ${fp32.bytes}: ${bytes / fp32.bytes}`);
    assert.ok(bytes > codeBytes * fp32.values, `${bytes} bytes cannot be all of it`);
  });
}
