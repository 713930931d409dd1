import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions, UsageError } from './options.ts';

test('options are read, with what is left out', () => {
  const { steps, sides, words, precision, batchSize, check } = parseOptions([
    '--only',
    'demo,bf16',
    '--steps',
    '9',
    '--check',
  ]);
  assert.deepEqual(
    { steps, sides, words, precision, batchSize, check },
    {
      steps: 9,
      sides: ['graft', 'peft', 'wall'],
      words: ['demo', 'bf16'],
      precision: undefined,
      batchSize: 8,
      check: true,
    },
  );
});

test('what is wrong is named', () => {
  const wrong: [string[], RegExp][] = [
    [['--bogus'], /bogus/],
    [['--steps', '3'], /--steps is a whole number above 3/],
    [['--batch-size', '0.5'], /--batch-size/],
    [['--precision', 'fp8'], /fp32, bf16/],
    [['--sides', 'graft,jax'], /--sides: jax is none of graft/],
    [['--only', 'dmeo'], /--only: dmeo/],
  ];
  for (const [args, message] of wrong)
    assert.throws(
      () => parseOptions(args),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  assert.throws(() => parseOptions(['--help']), UsageError);
});
