import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attr, rawOp, tf } from '@graft/tf-graph';
import type { BaseModel } from '../files.ts';
import { nextSeed } from '../nn/dropout.ts';
import { AdapterLayout } from '../peft-model/adapter-layout.ts';
import type { PeftModel } from '../peft-model/peft-model.ts';
import { philox4x32, RANDOM_USES, Random } from '../random.ts';
import type { AdapterParameter } from '../tuners/tuner.ts';
import { startValues } from './start-values.ts';

test('start values of a parameter are drawn from no stream that orders, splits or samples', async () => {
  const draw = (random: Random) => Float32Array.of(random.uniform());
  const parameters = Array.from({ length: 50 }, (_, i): AdapterParameter => {
    return { name: `p${i}`, shape: [1], init: { kind: 'draw', draw } };
  });
  const model = { attachment: { parameters }, layout: new AdapterLayout(parameters) };
  for (const seed of [0, 42]) {
    const drawn = await startValues(model as unknown as PeftModel, {} as BaseModel, { seed });
    const others = RANDOM_USES.filter((use) => use !== 'startValues').flatMap((use) =>
      Array.from({ length: 50 }, (_, part) => Math.fround(new Random(seed, use, part).uniform())),
    );
    assert.equal(new Set(drawn).size, parameters.length);
    assert.deepEqual(
      [...drawn].filter((value) => others.includes(value)),
      [],
    );
  }
});

/** Philox key and counter of a TensorFlow stateless op with this seed. Source: stateless_random_ops.cc, GenerateKey. */
function stateless([low, high]: readonly [number, number]) {
  const signs = (word: number) => (word < 0 ? 0xffffffff : 0);
  const counter = [low >>> 0, signs(low), high >>> 0, signs(high)] as const;
  const [k0, k1, c2, c3] = philox4x32(counter, [0x3ec8f720, 0x02461e29]);
  return { key: [k0, k1] as const, counter: [0, 0, c2, c3] as const };
}

test('the key and counter of a stateless op are those that TensorFlow computes with', () => {
  for (const seed of [
    [0, 0],
    [42, 7],
    [-5, 123456],
  ] as const) {
    const attrs = [attr.type('dtype', 'float32'), attr.type('T', 'int32'), attr.type('Tseed', 'int32')];
    const inputs = [tf.tensor1d([4], 'int32'), tf.tensor1d([...seed], 'int32')];
    const { key, counter } = stateless(seed);
    assert.deepEqual(
      [...rawOp('StatelessRandomUniform', attrs, inputs)[0]!.dataSync()],
      philox4x32(counter, key).map((word) => (word & 0x7fffff) / 2 ** 23),
    );
  }
});

test('dropout draws from separate streams', () => {
  const [draws, steps] = [64, 40];
  for (const seed of [0, 1, 42, 2 ** 31 - 1]) {
    const streams = new Set<string>();
    for (const use of RANDOM_USES.keys()) {
      for (let part = 0; part < 1000; part++) streams.add([seed, 0, use, part].join());
    }
    const hosts = streams.size;
    for (let step = 0; step < steps; step++) {
      const random = { seed: tf.tensor1d([seed, step], 'int32'), stream: 0 };
      for (let draw = 0; draw < draws; draw++) {
        const [low, high] = nextSeed(random).dataSync() as unknown as [number, number];
        const { key, counter } = stateless([low, high]);
        streams.add([...key, ...counter.slice(2)].join());
      }
    }
    assert.equal(streams.size, hosts + draws * steps);
  }
});
