// How local training derives its options from the data, which is tokenised once before training.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel } from '@graft/peft-core/files';
import { writeTinyModel } from '@graft/peft-core/testing';
import { resolveLocalTraining } from './resolve-local-training.ts';

let folder: string;
let base: BaseModel;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-settle-'));
  await writeTinyModel(join(folder, 'model'));
  base = await openBaseModel(join(folder, 'model'));
});
after(async () => {
  await base.close();
  await rm(folder, { recursive: true });
});

async function settle(lines: object[], training: object = {}, held?: object[]) {
  const write = async (name: string, all: object[]) => {
    await writeFile(join(folder, name), all.map((line) => JSON.stringify(line)).join('\n'));
    return join(folder, name);
  };
  return await resolveLocalTraining(
    {
      model: 'model',
      data: [await write('train.jsonl', lines)],
      ...(held && { validation: [await write('validation.jsonl', held)] }),
      training: JSON.stringify(training),
    },
    base,
    () => {},
  );
}
const asked = (completion: string) => ({ prompt: 'a', completion });

test('the length is that of the longest example of both files', async () => {
  const { trials, reasons, overlap } = await settle([asked('x'), asked('x'.repeat(20))]);
  assert.deepEqual([trials[0].training.max_seq_length, overlap], [24, null]);
  assert.match(reasons.max_seq_length!, /^the longest example/);
  const other = await settle([asked('x')], {}, [{ prompt: 'b', completion: 'x'.repeat(30) }]);
  assert.deepEqual([other.trials[0].training.max_seq_length, other.overlap], [32, null]);
  const given = await settle([asked('x')], { max_seq_length: 40 });
  assert.equal(given.trials[0].training.max_seq_length, 40);
});

test('a long text counts by its pieces', async () => {
  const { trials } = await settle([{ text: 'x'.repeat(600) }]);
  assert.deepEqual([trials[0].training.max_seq_length, trials[0].training.batch_size], [256, 3]);
});

test('where examples are left out, the length is the most that there may be', async () => {
  const { trials } = await settle([asked('x'), asked('x'.repeat(400))], { overlong: 'skip' });
  assert.equal(trials[0].training.max_seq_length, 256);
});

test('validation examples that are training examples, too, are reported', async () => {
  const { overlap } = await settle([asked('x'), { prompt: 'b', completion: 'y' }], {}, [asked('x')]);
  assert.match(overlap!, /^1 of 1 validation examples have the prompt of a training example, 1 of them word/);
});
