import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import { defaultPeft, leadingPositions, methodOf, methods, peftTypes, runtimesFor } from './methods.ts';
import { tunerFor } from './registry.ts';

for (const type of peftTypes) {
  const method = methods[type];
  const trials = Object.values(method.trials).map(({ options }) => options);

  test(`${type}: is in both lists under the name in its schema, and has a folder of that name`, () => {
    assert.equal((method.schema.properties.peft_type as { const?: unknown }).const, type);
    const peft = parsePeftConfig({ peft_type: type, ...method.usual });
    assert.equal(methodOf(peft), method);
    assert.equal(typeof tunerFor(peft).attach, 'function');
    const folder = new URL(`./${type.toLowerCase().replaceAll('_', '-')}/`, import.meta.url);
    for (const file of ['method.ts', 'tuner.ts']) assert.ok(existsSync(new URL(file, folder)), file);
  });

  test(`${type}: what its description proposes are configs that a request may have`, () => {
    for (const options of [method.usual, ...trials]) {
      const peft = parsePeftConfig({ peft_type: type, ...options });
      const rate = methodOf(peft).learningRate(peft);
      assert.ok(rate > 0 && rate <= 1, String(rate));
      const { virtualTokens, prefixLength } = leadingPositions(peft);
      assert.equal(virtualTokens + prefixLength, 'num_virtual_tokens' in peft ? peft.num_virtual_tokens : 0);
      assert.equal(runtimesFor(peft)[0], 'Graft');
    }
    for (const field of method.floats ?? [])
      assert.ok(field in method.schema.properties || field in method.unimplemented, field);
  });
}

test('a job that names no method gets one that can be had', () => {
  const peft = parsePeftConfig(defaultPeft);
  assert.deepEqual({ ...peft, ...defaultPeft }, peft);
});
