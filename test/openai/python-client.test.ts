/** Calls every endpoint that Graft shares with OpenAI with OpenAI's official Python client, with strict response validation. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { neverCalled, sharedEndpoints } from './shared-endpoints.ts';
import { type SuiteGraft, startSuiteGraft } from './suite-graft.ts';

let graft: SuiteGraft;
before(async () => {
  graft = await startSuiteGraft();
});
after(async () => await graft?.close());

type Line =
  | { check: string; error: string | null }
  | { requests: [method: string, path: string][]; version: string };

test('every check of openai_suite.py', async (t) => {
  const settings = join(graft.folder, 'settings.json');
  await writeFile(settings, JSON.stringify(graft.settings));
  const suite = spawn(await pythonEnvironment(), [join(import.meta.dirname, 'openai_suite.py'), settings], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  let stdout = '';
  let stderr = '';
  suite.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  suite.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000);
  });
  const [code] = await once(suite, 'close');
  assert.equal(code, 0, `${stderr}\nGraft's last lines:\n${graft.tail()}`);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  const end = lines.pop();
  assert.ok(end && 'requests' in end);
  t.diagnostic(`openai ${end.version}`);
  for (const line of lines) {
    assert.ok('check' in line);
    await t.test(line.check.replaceAll('_', ' '), () => assert.equal(line.error, null, line.error ?? ''));
  }
  await t.test('no shared endpoint is left out', () => {
    const shared = sharedEndpoints(graft.routes);
    assert.ok(shared.length >= 18, `only ${shared.length} of ${graft.routes.length} routes`);
    assert.deepEqual(neverCalled(shared, end.requests), []);
  });
});
