/** Random answers that the masks of random schemas allow, the same in every run: `npm run fuzz -- --answers 10000` tries more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { walkAnswers } from '../../scripts/fuzz/answers.ts';

test('400 random answers are JSON that their schemas allow', async () => {
  const { answers, faults } = await walkAnswers(17, 400);
  assert.deepEqual(faults, []);
  assert.ok(answers >= 400);
});
