import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { exactMatch, readHeldOut } from './held-out.ts';

test('the last message of a line is the answer, what is before it is asked', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-held-out-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'heldout.jsonl');
  const system = { role: 'system', content: 'Sort.' };
  const user = { role: 'user', content: 'Flat tyre' };
  const line = (answer: string) =>
    JSON.stringify({ messages: [system, user, { role: 'assistant', content: answer }] });
  writeFileSync(file, `${line(' workshop\n')}\n\n${line('sales')}\n`);
  const examples = await readHeldOut(file);
  assert.deepEqual(examples, [
    { messages: [system, user], question: 'Flat tyre', answer: 'workshop' },
    { messages: [system, user], question: 'Flat tyre', answer: 'sales' },
  ]);
  assert.equal(exactMatch(examples, ['workshop', 'sales']), 2);
  assert.equal(exactMatch(examples, ['sales', 'sales.']), 0);
  assert.equal(exactMatch(examples, ['workshop']), 1);
});

test('the demo asks of every task about examples that it does not train on', async () => {
  const examples = path.resolve(import.meta.dirname, '../../examples/bike-shop');
  const asked = await readHeldOut(path.join(examples, 'heldout.jsonl'));
  const trained = await readHeldOut(path.join(examples, 'train.jsonl'));
  assert.ok(asked.length >= 20);
  const seen = new Set(trained.map(({ question }) => question));
  assert.deepEqual(
    asked.filter(({ question }) => seen.has(question)),
    [],
  );
});
