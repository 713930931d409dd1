import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { systemOption } from './watch-job.ts';

test('the chat that is suggested after a job carries the system prompt of its examples', () => {
  const of = (system_prompt: string | null) => systemOption({ id: 'ftjob-1', system_prompt });
  assert.equal(of(null), '');
  const prompt = `Reply "a" or 'b': $HOME \`date\``;
  const said = execFileSync('bash', ['-c', `printf %s${of(prompt).replace(' --system', '')}`], {
    encoding: 'utf8',
  });
  assert.equal(said, prompt);
  for (const long of ['a\nb', 'x'.repeat(301), '\u001b[2J'])
    assert.equal(of(long), ' --system "$(graft jobs get ftjob-1 --json | jq -r .system_prompt)"');
});
