/** Uploads whose checker ends while it checks them: what one team sends must not refuse, or accept unchecked, another team's file. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import type { Services } from '@graft/service/services';
import { openTestServices } from '@graft/service/testing';
import { chatLine } from '../testing/open-api-bench.ts';
import { storeChecked } from './receive-upload.ts';
import { createUploadChecks, type UploadChecks } from './upload-checks.ts';

let services: Services;
let checks: UploadChecks;
before(async () => {
  services = await openTestServices();
});
after(async () => await services?.close());

const reading = { columns: null, onBadLines: 'fail' } as const;
const limit = 64 * 2 ** 20;
const lines = (count: number) => Buffer.from(`${chatLine}\n`.repeat(count));
/** One line of 4 MiB that becomes some 100 MB of objects. */
const large = Buffer.from(`{"messages":[${'{},'.repeat(1_390_000)}{}]}\n`);

/** An upload whose bytes are sent by hand. */
function openUpload(teamId: string) {
  const waiting: (() => void)[] = [];
  const sent: (Buffer | null)[] = [];
  const send = (chunk: Buffer | null) => {
    sent.push(chunk);
    waiting.shift()?.();
  };
  async function* bytes(): AsyncGenerator<Buffer> {
    for (;;) {
      if (sent.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
      const chunk = sent.shift()!;
      if (chunk === null) return;
      yield chunk;
    }
  }
  const stored = storeChecked(bytes(), services.files, checks.open(teamId, reading), limit);
  stored.catch(() => {});
  return { send, stored };
}

async function refused(stored: Promise<unknown>): Promise<GraftError> {
  const error = await stored.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof GraftError, String(error));
  return error;
}

async function storedFiles(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of services.files.list()) names.push(name);
  return names;
}

describe('one team sends a line that takes more memory than the checker has', () => {
  before(() => {
    checks = createUploadChecks({ lines: { count: 1, heapMb: 48 }, files: { count: 1, heapMb: 48 } });
  });
  after(async () => await checks.close());

  test('its own file is refused for it; every line of the other teams is checked, and none refused', async () => {
    const sound = openUpload('sound');
    const broken = openUpload('broken');
    sound.send(lines(1_000));
    broken.send(Buffer.concat([lines(499), Buffer.from('{"messages": "none"}\n'), lines(500)]));
    // The checker has the first half of both files.
    for (const upload of [sound, broken]) upload.send(lines(1_000));
    const greedy = openUpload('greedy');
    greedy.send(large);
    greedy.send(null);
    const error = await refused(greedy.stored);
    assert.deepEqual([error.code, error.param], ['invalid_jsonl', 'file']);
    assert.match(error.message, /needs more memory to be read than 48 MiB, the limit/);
    for (const upload of [sound, broken]) {
      upload.send(lines(1_000));
      upload.send(null);
    }
    assert.equal((await sound.stored).examples, 3_000);
    const fault = await refused(broken.stored);
    assert.equal(fault.code, 'invalid_jsonl');
    assert.match(fault.message, /^line 500\b/);
    assert.deepEqual(await storedFiles(), [(await sound.stored).path], 'a refused file leaves nothing');
  });

  test('its next files no longer end the checker of the others', async () => {
    const other = openUpload('other');
    other.send(lines(1_000));
    const greedy = openUpload('greedy');
    greedy.send(large);
    greedy.send(null);
    assert.match((await refused(greedy.stored)).message, /more memory/);
    const ended = checks.ended();
    other.send(lines(1_000));
    other.send(null);
    assert.equal((await other.stored).examples, 2_000);
    assert.equal(checks.ended(), ended);
  });
});
