/** Tests of the memory that loaded adapters keep. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ProgramBuilder } from '@graft/tf-graph';
import { parsePeftConfig } from '../config/index.ts';
import { architectureFor } from '../models/registry.ts';
import { tinyConfig } from '../testing/tiny-model.ts';
import { fileTensorsFor } from '../tuners/check.ts';
import { projectionKeys } from '../tuners/vera/tensors.ts';
import { adapterValues } from './adapter-values.ts';
import { HeldValues } from './held-values.ts';
import { attachAdapter } from './peft-model.ts';

const rank = 2048;
const architecture = architectureFor('llama', tinyConfig, 'CAUSAL_LM');
/** Bytes of A `(rank, 64)` and B `(32, rank)`: q_proj and down_proj of the tiny model. */
const projectionBytes = 4 * rank * (64 + 32);

function adapter(seed: number, options: Record<string, unknown> = {}, projections = 1) {
  const given = { peft_type: 'VERA', r: rank, target_modules: ['q_proj', 'down_proj'], ...options };
  const config = parsePeftConfig(given);
  const model = attachAdapter(new ProgramBuilder(), architecture, new Map(), config, {
    form: 'folded',
    name: 'adapter',
  });
  const isProjection = (key: string) => key === projectionKeys.vera_A || key === projectionKeys.vera_B;
  const files = new Map(
    fileTensorsFor(config, tinyConfig)!.map(({ key, shape }) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      const start = isProjection(key) ? projections : seed;
      return [key, { shape, data: data.map((_, i) => Math.sin(start + i)) }];
    }),
  );
  return { model, files };
}

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');
/** Bytes of arrays after a collection, which ends weak references only in a later turn of the event loop. The last adapter read may remain. */
async function arrayBytes(): Promise<number> {
  for (let n = 0; n < 3; n++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  return process.memoryUsage().arrayBuffers;
}

test('adapters with the same projections have them once, as long as one is loaded; vectors are unchanged', async () => {
  const held = new HeldValues();
  let loaded: unknown[] = [];
  const grown = async (count: number, projectionsOf: (seed: number) => number) => {
    const before = await arrayBytes();
    for (let seed = 0; seed < count; seed++) {
      const { model, files } = adapter(seed, {}, projectionsOf(seed));
      loaded.push(held.hold(model, files));
    }
    return (await arrayBytes()) - before;
  };
  const shared = await grown(8, () => 1);
  assert.ok(shared >= projectionBytes && shared < 3 * projectionBytes, `${shared}`);
  const separate = await grown(4, (seed) => 10 + seed);
  assert.ok(separate >= 3 * projectionBytes && separate < 6 * projectionBytes, `${separate}`);
  const before = await arrayBytes();
  loaded = [];
  assert.ok(before - (await arrayBytes()) >= 4 * projectionBytes);
  assert.deepEqual(loaded, []);

  for (const [seed, options, projections] of [
    [1, {}, 1],
    [2, {}, 1],
    [3, {}, 2],
    [4, { save_projection: false }, 1],
    [5, { save_projection: false, projection_prng_key: 3 }, 1],
    [6, { bias: 'all' }, 1],
  ] as const) {
    const { model, files } = adapter(seed, options, projections);
    assert.deepEqual(held.hold(model, files).vector(), adapterValues(model, files));
  }
});
