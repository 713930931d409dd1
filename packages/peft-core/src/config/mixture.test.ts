import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epochCounts, epochExamples, mixtureOf } from './mixture.ts';
import { namesOfSets } from './validation-sets.ts';

const counts = (examples: number[], files: object[], strategy?: Parameters<typeof mixtureOf>[1]) =>
  epochCounts(examples, mixtureOf(files, strategy)!);

test('one file, once per epoch, is no mixture', () => {
  assert.equal(mixtureOf([]), null);
  assert.equal(mixtureOf([{ epochs: 1 }]), null);
  assert.equal(mixtureOf([{ weight: 7 }], 'interleave_over'), null);
  assert.notEqual(mixtureOf([{ epochs: 0.5 }]), null);
  assert.equal(epochExamples([12], null), 12);
});

test('concat: an epoch has each file as often as it asks for, and one example at least', () => {
  assert.deepEqual(counts([10, 4], [{}, {}]), [10, 4]);
  assert.deepEqual(counts([10, 4, 100], [{ epochs: 0.5 }, { epochs: 3 }, { epochs: 0.01 }]), [5, 12, 1]);
  assert.deepEqual(counts([3, 1], [{ epochs: 0.01 }, { epochs: 0.5 }]), [1, 1]);
  assert.deepEqual(counts([0, 4], [{}, {}]), [0, 4]);
});

test('interleave: an epoch has the files in proportion to their weights', () => {
  const files = [{ weight: 3 }, { weight: 1 }];
  // The second file has too few examples for a quarter of the first.
  assert.deepEqual(counts([300, 50], files, 'interleave_under'), [150, 50]);
  assert.deepEqual(counts([300, 50], files, 'interleave_over'), [300, 100]);
  assert.deepEqual(counts([100, 100, 100], [{}, {}, {}], 'interleave_under'), [100, 100, 100]);
  assert.deepEqual(counts([7, 0, 3], [{ weight: 2 }, { weight: 5 }, {}], 'interleave_over'), [7, 0, 4]);
});

test('of any weights no file is forgotten, and over sees every example', () => {
  for (let i = 0; i < 500; i++) {
    const sizes = [1 + (i % 7), 1 + ((i * 31) % 29), 1 + ((i * 17) % 23)];
    const files = [{ weight: 0.5 + (i % 3) }, { weight: 0.8 + (i % 2) }, { weight: 1 }];
    const under = counts(sizes, files, 'interleave_under');
    const over = counts(sizes, files, 'interleave_over');
    for (const [file, size] of sizes.entries()) {
      assert.ok(under[file]! >= 1 && under[file]! <= size, `${sizes} ${under}`);
      assert.ok(over[file]! >= size, `${sizes} ${over}`);
    }
    assert.ok(under.some((count, file) => count === sizes[file]));
    assert.ok(over.some((count, file) => count === sizes[file]));
  }
});

test('a file that an epoch would repeat without end is refused, by name', () => {
  assert.throws(() => counts([10, 1_000_000], [{ weight: 1 }, { weight: 1 }], 'interleave_over'), {
    code: 'invalid_training_option',
    param: 'training_files[0].weight',
    message: /100000 times/,
  });
  assert.throws(() => counts([1e6, 1e6], [{ epochs: 50 }, { epochs: 50 }]), { param: 'training_files' });
});

test('validation sets are named by their files, each by its own name', () => {
  const named = (...files: [filename: string, name?: string][]) =>
    namesOfSets(files.map(([filename, name]) => ({ filename, name })));
  assert.deepEqual(named(['Legal-Test.v2.jsonl'], ['a/b/maths.jsonl'], ['\u6570.jsonl']), [
    'legal_test',
    'maths',
    'set',
  ]);
  assert.deepEqual(named(['x.jsonl'], ['y/x.jsonl'], ['z.jsonl', 'x_2']), ['x', 'x_3', 'x_2']);
  assert.deepEqual(
    named([`${'a'.repeat(300)}.jsonl`], [`${'a'.repeat(300)}.jsonl`]).map(({ length }) => length),
    [28, 30],
  );
  for (const bad of ['', 'A', 'a-b', '_a', 'a_', 'a'.repeat(33), 'a.b', 'a b'])
    assert.throws(() => named(['a.jsonl'], ['b.jsonl', bad]), { param: 'validation_files[1].name' });
  assert.throws(() => named(['a.jsonl', 'x'], ['b.jsonl', 'x']), { message: /another validation file/ });
});
