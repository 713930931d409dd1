import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { GraftError } from '../errors.ts';
import { writeGguf } from '../gguf/testing/write-gguf.ts';
import { writeSafetensors } from '../safetensors/write-safetensors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { openBaseModel } from './open-base-model.ts';
import { tinyGguf, tinyWeights, writeTinyFolder } from './testing/tiny-folder.ts';

const at = tempFolder();

/** Returns a generator of integers below a bound, the same in every run (Numerical Recipes' generator). */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** Opens and reads `model` after changing up to three bytes of the first `headerBytes` of `file`, and sometimes truncating it. */
async function damage(file: string, model: string, headerBytes: number): Promise<Map<string, number>> {
  const below = numbers(7);
  const whole = readFileSync(file);
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 400; round++) {
    const bytes = Buffer.from(whole);
    for (let i = 0; i <= below(3); i++) bytes[below(headerBytes)] = below(4) === 0 ? 255 : below(256);
    writeFileSync(file, below(5) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes);
    const outcome = await read(model).catch((error: unknown) => {
      assert.ok(
        error instanceof GraftError,
        `round ${round}: ${error instanceof Error ? error.stack : error}`,
      );
      return error.code;
    });
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  return outcomes;
}

async function read(location: string): Promise<string> {
  const model = await openBaseModel(location);
  try {
    for (const name of model.tensors.names()) await model.tensors.readFloat32(name);
    return 'read';
  } finally {
    await model.close();
  }
}

test('whatever is wrong with a GGUF file, the error is one with a code', async () => {
  await writeGguf(at('tiny.gguf'), tinyGguf());
  const outcomes = await damage(at('tiny.gguf'), at('tiny.gguf'), 3200);
  assert.ok((outcomes.get('invalid_gguf') ?? 0) > 200, JSON.stringify([...outcomes]));
});

test('whatever is wrong with a safetensors file, the error is one with a code', async () => {
  await writeTinyFolder(at('model'));
  await writeSafetensors(at('model', 'model.safetensors'), tinyWeights());
  const outcomes = await damage(at('model', 'model.safetensors'), at('model'), 2200);
  assert.ok((outcomes.get('invalid_safetensors') ?? 0) > 300, JSON.stringify([...outcomes]));
});
