/** Every graph computes on a GPU: a part of the gate's grid that has each family, method, kind of weight and function. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCase } from './read-case.ts';
import { type Found, faultsByKind } from './report.ts';
import { coveringPart } from './testing/cases.ts';

const found: Found[] = [];
for (const each of coveringPart()) found.push(...(await readCase(each)));

test('each function of training, measuring, scoring and answering stays on the device, the same every time', () => {
  assert.deepEqual(faultsByKind(found), []);
});

test('functions of every kind were read', () => {
  const kinds = new Set(
    found.map(({ function: name }) => name.replace(/^adapter\.\d+\//, '').replace(/[_#].*/, '')),
  );
  for (const kind of ['step', 'accumulate', 'apply', 'embed', 'contrast', 'backward', 'evaluate', 'compare'])
    assert.ok(kinds.has(kind), kind);
  for (const kind of ['fold', 'score', 'encode', 'prime']) assert.ok(kinds.has(kind), kind);
  assert.ok(found.some(({ function: name }) => /^adapter\.\d+\/step_/.test(name)));
  // An eighth of the golden matrix, the smallest part that a run has, gives this many.
  assert.ok(found.length > 700, `${found.length}`);
});

test('a case that cannot be traced is a fault, and the next is read', async () => {
  const broken = async () => {
    throw new Error('sizes do not fit');
  };
  const [one] = await readCase({ name: 'broken', build: broken });
  assert.deepEqual(
    one!.faults.map(({ kind, text }) => [kind, text]),
    [['not traced', 'sizes do not fit']],
  );
  const read = await readCase(coveringPart()[0]!);
  assert.ok(read.length > 0 && read.every(({ nodes }) => nodes > 0));
});
