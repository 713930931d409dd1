import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resultText } from './output.ts';

test('a receipt is shown as one, and needs none of the fields that a verb would show', () => {
  const human = (): string => assert.fail('it has no such fields');
  assert.equal(
    resultText({ id: 'ftjob-1', object: 'fine_tuning.job' }, human),
    'Done: fine_tuning.job ftjob-1. This key may not read it.',
  );
  assert.equal(resultText({ object: 'adapter.tag' }, human), 'Done: adapter.tag. This key may not read it.');
});

test('other results are shown as their verb shows them', () => {
  for (const value of [
    { id: 'ftjob-1', object: 'fine_tuning.job', status: 'paused' },
    { id: 'whep-1', object: 'webhook.endpoint', secret: 'whsec_x' },
    { object: 'list', data: [] },
    [],
    null,
    'text',
  ])
    assert.equal(
      resultText(value, () => 'shown'),
      'shown',
    );
});
