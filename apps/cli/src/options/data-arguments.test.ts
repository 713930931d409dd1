import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataArguments, isPlain, shareOf } from './data-arguments.ts';

const files = new Set(['a.jsonl', 'b.jsonl', 'odd:3', 'x=y', 'C:\\data\\a.jsonl', 'file-1']);
const parse = (data: string[], validation?: string[]) =>
  dataArguments({ data, ...(validation && { validation }) }, (file) => files.has(file));

test('a number after a colon is the share of a file, unless a file has that name', () => {
  assert.deepEqual(
    parse(['a.jsonl', 'b.jsonl:2', 'file-1:0.5', 'odd:3', 'odd:3:.5', 'C:\\data\\a.jsonl']).training,
    [
      { file: 'a.jsonl', share: null },
      { file: 'b.jsonl', share: 2 },
      { file: 'file-1', share: 0.5 },
      { file: 'odd:3', share: null },
      { file: 'odd:3', share: 0.5 },
      { file: 'C:\\data\\a.jsonl', share: null },
    ],
  );
  for (const bad of [
    'a.jsonl:',
    'a.jsonl:0',
    'a.jsonl:-1',
    'a.jsonl:x',
    'a.jsonl:1e3',
    'c.jsonl',
    'c.jsonl:2',
    ':',
    '',
  ])
    assert.throws(() => parse([bad]), { name: 'UsageError' }, bad);
});

test('a validation file may have a name', () => {
  assert.deepEqual(parse(['a.jsonl'], ['b.jsonl', 'maths=a.jsonl', 'x=y']).validation, [
    { file: 'b.jsonl', name: null },
    { file: 'a.jsonl', name: 'maths' },
    { file: 'x=y', name: null },
  ]);
  for (const bad of ['Maths=a.jsonl', '=a.jsonl', 'maths=c.jsonl', 'maths='])
    assert.throws(() => parse(['a.jsonl'], [bad]));
});

test('one file of each kind is a job without lists; the number is weight or epochs', () => {
  assert.ok(isPlain.training(parse(['a.jsonl']).training));
  assert.ok(!isPlain.training(parse(['a.jsonl:2']).training));
  assert.ok(!isPlain.training(parse(['a.jsonl', 'a.jsonl']).training));
  assert.ok(
    isPlain.validation(parse(['a.jsonl']).validation) &&
      isPlain.validation(parse(['a.jsonl'], ['b.jsonl']).validation),
  );
  assert.ok(!isPlain.validation(parse(['a.jsonl'], ['b=b.jsonl']).validation));
  const [file] = parse(['a.jsonl:2']).training;
  assert.deepEqual(
    [shareOf(file!, undefined), shareOf(file!, 'interleave_over')],
    [{ epochs: 2 }, { weight: 2 }],
  );
  assert.throws(() => parse(Array(17).fill('a.jsonl')), { message: /limit is 16/ });
});
