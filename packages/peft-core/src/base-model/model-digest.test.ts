import assert from 'node:assert/strict';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { writeSafetensors } from '../safetensors/write-safetensors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { rehashWeights } from './model-digest.ts';
import { openBaseModel } from './open-base-model.ts';
import { tinyWeights, writeTinyFolder } from './testing/tiny-folder.ts';

const at = tempFolder();
const weights = tinyWeights();

async function folder(name: string): Promise<string> {
  await writeTinyFolder(at(name), {});
  await writeSafetensors(at(name, 'model.safetensors'), weights);
  return at(name);
}

test('a digest is cached, and computed again when the file changes', async () => {
  const dir = await folder('digest');
  const file = path.join(dir, 'model.safetensors');
  const digest = async () => {
    const model = await openBaseModel(dir, { digestCache: at('digests') });
    await model.close();
    return model.digest();
  };
  const first = await digest();
  const [sidecar] = readdirSync(at('digests'));
  assert.equal(readFileSync(at('digests', sidecar!), 'utf8'), first);
  // Another process would trust the sidecar file: this process reads it because the new time of change is unknown to it.
  utimesSync(file, 1e9, 1e9);
  assert.equal(await digest(), first);
  await writeSafetensors(
    file,
    weights.map((tensor) => ({ ...tensor, data: tensor.data.map((x) => x + 1) })),
  );
  assert.notEqual(await digest(), first);
});

test('a bit that flips unseen in the weights is found by reading them again, at a rate', async () => {
  const dir = await folder('flipped');
  const file = path.join(dir, 'model.safetensors');
  const model = await openBaseModel(dir, { digestCache: at('flipped-digests') });
  await model.close();
  const first = await model.digest();
  const again = async (olderThanMs: number) =>
    await rehashWeights(model.weightFiles, at('flipped-digests'), { olderThanMs, bytesPerSecond: 1e9 });
  assert.deepEqual(await again(-1), []);
  // Simulates silent corruption: the stored digest differs from the file's, although the file's state is unchanged.
  const [sidecar] = readdirSync(at('flipped-digests'));
  writeFileSync(at('flipped-digests', sidecar!), '0'.repeat(64));
  assert.deepEqual(await again(60_000), [], 'read not long ago');
  assert.deepEqual(await again(-1), [file]);
  assert.equal(await model.digest(), first);
});
