import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, randomText } from './ids.ts';

test('ids carry the prefix of their kind and never repeat', () => {
  assert.match(newId('job'), /^ftjob-[0-9A-Za-z]{24}$/);
  assert.match(newId('file'), /^file-[0-9A-Za-z]{24}$/);
  assert.match(newId('event'), /^ftevent-[0-9A-Za-z]{24}$/);
  assert.match(newId('checkpoint'), /^ftckpt_[0-9A-Za-z]{24}$/);
  assert.equal(new Set(Array.from({ length: 1000 }, () => newId('job'))).size, 1000);
});

test('every letter is as likely as another', () => {
  const counts = new Map<string, number>();
  const text = randomText(62_000);
  for (const letter of text) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  assert.equal(counts.size, 62);
  // 1000 expected with standard deviation 31; the bounds are ten deviations.
  for (const [letter, count] of counts) assert.ok(count > 690 && count < 1310, `${letter} ${count}`);
});
