/** Verbs for usage, prices and budgets, against a real API. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { graftIn, temporaryFolder } from '../testing/run-graft.ts';
import { startApi } from '../testing/start-api.ts';

test('stored bytes are reported, priced, budgeted and checked', async (t) => {
  const folder = temporaryFolder(t);
  const { graft, ok, json } = graftIn(folder, await startApi(t, folder));
  await ok(['admin', 'teams', 'create', 'research']);
  const key = (await json(['admin', 'keys', 'create', '--team', 'research', '--role', 'member'])).key;
  const teamKey = { GRAFT_API_KEY: key };
  const line = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n';
  await writeFile(join(folder, 'train.jsonl'), line);
  await ok(['files', 'upload', join(folder, 'train.jsonl')], teamKey);

  const used = await json(['usage', '--days', '2', '--by', 'kind'], teamKey);
  assert.equal(used.data.length, 2);
  assert.equal(used.budget, null);
  assert.deepEqual(
    used.data[1].results.map((result: Record<string, unknown>) => [result.kind, result.stored_bytes]),
    [['stored_bytes', line.length]],
  );
  const csv = (await ok(['usage', '--csv'], teamKey)).stdout.trimEnd().split('\r\n');
  assert.equal(csv.length, 2);
  assert.match(csv[0]!, /^date,team_id,/);

  assert.match((await ok(['admin', 'prices', 'list'])).stdout, /^No prices/);
  const price = await json(['admin', 'prices', 'set', 'stored_bytes', '3']);
  assert.match((await ok(['admin', 'prices', 'list'])).stdout, /stored_bytes +\* +3 +1 GiB for 1 day/);
  await ok(['admin', 'prices', 'remove', price.id]);
  assert.equal((await graft(['admin', 'prices', 'remove', price.id])).code, 1);
  assert.equal((await graft(['admin', 'prices', 'set', 'wishes', '3'])).code, 1);

  assert.equal((await ok(['admin', 'teams', 'budget', 'research'])).stdout, 'research has no budget.\n');
  assert.match(
    (await ok(['admin', 'teams', 'budget', 'research', '0', '--warn-at', '0.5'])).stdout,
    /^research has spent 0\.00 of 0 this month, until 20/,
  );
  assert.match((await ok(['usage'], teamKey)).stderr, /Budget: 0\.00 of 0 spent this month/);
  await ok(['admin', 'teams', 'budget', 'research', '--remove']);

  const shown = await json(['admin', 'usage', 'show', '--team', 'research', '--by', 'api_key_id']);
  assert.deepEqual(
    shown.data.map((result: Record<string, unknown>) => [result.api_key_id, result.stored_bytes]),
    [[key.split('_')[1], line.length]],
  );
  assert.match((await ok(['admin', 'usage', 'check'])).stdout, /^The ledger agrees/);
});
