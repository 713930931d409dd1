/** Base models and adapters made by transformers and PEFT score the same in Graft. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { tinyFixture } from './fixtures/tiny-fixture.ts';

const tolerance = 1e-4;
const fixture = await tinyFixture();

for (const reference of fixture.scores) {
  test(`${reference.name} scores as in transformers`, async () => {
    const expected = reference.inputs.map((input) => input.logprobs);
    const actual = await graftOutputs(
      fixture.modelFolder(reference.model),
      reference.adapter && fixture.adapterFolder(reference.adapter),
      reference.inputs.map((input) => input.input_ids),
    );
    assert.ok(expected.flat().length > 100);
    const difference = largestDifference(expected, actual);
    assert.ok(difference < tolerance, `log-probabilities differ by ${difference}`);
  });

  if (reference.adapter !== null) {
    test(`${reference.name} is no accident: the adapter moves the scores`, () => {
      const base = fixture.scores.find((s) => s.model === reference.model && s.adapter === null);
      assert.ok(base);
      const moved = largestDifference(
        base.inputs.map((input) => input.logprobs),
        reference.inputs.map((input) => input.logprobs),
      );
      assert.ok(moved > 100 * tolerance, `the adapter changes log-probabilities by ${moved} only`);
    });
  }
}
