import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '@graft/peft-core/config';
import { createLineChecker } from './line-checker.ts';

async function messageOf(file: Buffer, size: number): Promise<string> {
  const checker = createLineChecker();
  for (let at = 0; at < file.length; at += size) await checker.write(file.subarray(at, at + size));
  try {
    await checker.end();
  } catch (error) {
    return (error as GraftError).message;
  }
  assert.fail('was accepted');
}

test('every bad line is numbered, however the bytes are cut: of another kind, broken, too, and the last one without an end', async () => {
  const bad = '{}\n'.repeat(100);
  const file = Buffer.from(
    `{"text":"ä"}\n${bad}\r\n \n{"prompt":"a","completion":"b"}\n{"text":"c"}\n\xff\n{`,
    'utf8',
  );
  const whole = await messageOf(file, file.length);
  assert.match(
    whole,
    /^line 2 holds no example.* \(the same fault in lines 3-101\); line 104 is a prompt_completion example[^;]*; line 106 is not valid JSON[^;]* \(the same fault in line 107\): 103 bad lines in all$/,
  );
  for (const size of [1, 2, 3, 7, 64]) assert.equal(await messageOf(file, size), whole);
});

test('a good file is summed up', async () => {
  const checker = createLineChecker();
  await checker.write(Buffer.from('\n{"text":"a"}\n\n{"text":"b"}'));
  const { recognised, skipped, ...summary } = await checker.end();
  assert.deepEqual([recognised.kind, skipped], ['jsonl', null]);
  assert.deepEqual(summary, {
    format: 'text',
    examples: 2,
    answerCharacters: 2,
    systemPrompt: null,
    unread: [],
  });
});
