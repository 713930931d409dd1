import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parsePeftConfig } from '@graft/peft-core/config';
import { writeTinyModel } from '@graft/peft-core/testing';
import { ThreadTimeout } from '@graft/peft-core/threads';
import { createOptionChecker } from './option-checker.ts';

let folder: string;
let config: Record<string, unknown>;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-options-'));
  await writeTinyModel(folder, { num_hidden_layers: 24 });
  config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
});
after(async () => await rm(folder, { recursive: true }));

/** Not needed, since only names are matched. */
const tensors = null;
const lora = (target_modules: string) => parsePeftConfig({ peft_type: 'LORA', target_modules });
/** An expensive expression: over a hundred states, most of them active at every character. */
const dear = '(?:.?){100}.*';

test('a slow expression is matched in a thread while the event loop continues, and its error is reported', async () => {
  const checker = createOptionChecker(60_000, { heapMb: 256 });
  try {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await assert.rejects(checker.check('team', lora(`${dear}nothing_here`), { config, tensors } as never), {
      code: 'target_modules_not_found',
      param: 'peft.target_modules',
      fault: 'user',
    });
    clearInterval(timer);
    assert.ok(turns >= 10, `${turns} turns`);
  } finally {
    await checker.close();
  }
});

test('a check that exceeds its deadline is tried twice and then no fault of the user, and the next one succeeds', async () => {
  const checker = createOptionChecker(1, { heapMb: 256 });
  try {
    const model = { config, tensors } as never;
    await assert.rejects(checker.check('team', lora(`${dear}nothing_here`), model), ThreadTimeout);
    await assert.rejects(checker.check('team', lora('nothing_here'), model), {
      code: 'target_modules_not_found',
    });
  } finally {
    await checker.close();
  }
});

test('what would take too many steps is refused before it is tried', async () => {
  const checker = createOptionChecker(60_000, { heapMb: 256 });
  const large = { ...config, num_hidden_layers: 200 };
  await assert.rejects(checker.check('team', lora(dear), { config: large, tensors } as never), {
    code: 'invalid_peft_config',
    param: 'peft.target_modules',
    message: /steps to match with the modules of this model; the limit is 8000000/,
  });
  await checker.close();
});

test('schemas of usual size are read at once; larger ones in the thread, with the same errors', async () => {
  const checker = createOptionChecker(60_000, { heapMb: 256 });
  const tool = (i: number, parameters: object) => ({
    type: 'function',
    function: { name: `f${i}`, parameters },
  });
  const usual = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } };
  // No two patterns are alike, so that none is read once for all.
  const long = (i: number) => ({
    type: 'object',
    properties: { text: { type: 'string', pattern: `^(?:[a-z]{1,${20 + i}} ){1,4}$` } },
  });
  const body = (tools: object[]) => ({ tools, tool_choice: 'required' }) as never;
  try {
    const read = checker.demands('team', body([tool(0, usual)]));
    assert.ok(!(read instanceof Promise));
    assert.equal(read.tools?.length, 1);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const large = checker.demands('team', body(Array.from({ length: 8 }, (_, i) => tool(i, long(i)))));
    assert.ok(large instanceof Promise);
    assert.equal((await large).tools?.length, 8);
    clearInterval(timer);
    assert.ok(turns >= 10, `${turns} turns`);
    const most = Array.from({ length: 128 }, (_, i) => tool(i, long(i)));
    await assert.rejects(async () => await checker.demands('team', body(most)), {
      code: 'invalid_value',
      fault: 'user',
      message: /function\.parameters' must be simpler/,
    });
  } finally {
    await checker.close();
  }
});
