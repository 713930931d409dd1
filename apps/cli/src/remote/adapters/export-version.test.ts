import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileTensorsFor } from '@graft/peft-core/check';
import { parsePeftConfig } from '@graft/peft-core/config';
import { writeAdapter } from '@graft/peft-core/files';
import { writeTinyModel } from '@graft/peft-core/testing';
import { graftIn, runGraft, temporaryFolder } from '../../testing/run-graft.ts';
import { startApi } from '../../testing/start-api.ts';

test('graft export of a version: Ctrl-C detaches, the same command continues with the same export', async (t) => {
  const folder = temporaryFolder(t);
  await writeTinyModel(join(folder, 'tiny'));
  await writeFile(join(folder, 'models.json'), '{"tiny":{"folder":"tiny"}}');
  // Without a worker, an export waits for ever.
  const settings = { GRAFT_BASE_MODELS: join(folder, 'models.json') };
  const service = await startApi(t, folder, { settings });
  const { ok, json, graft } = graftIn(folder, service);
  await ok(['admin', 'teams', 'create', 'research']);
  const key = (await ok(['admin', 'keys', 'create', '--team', 'research', '--name', 'laptop'])).stdout.trim();
  const ada = { GRAFT_API_KEY: key };
  const peft = parsePeftConfig({
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj'],
    task_type: 'CAUSAL_LM',
  });
  const config = JSON.parse(await readFile(join(folder, 'tiny/config.json'), 'utf8'));
  const tensors = fileTensorsFor(peft, config).map(({ key: name, shape }) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5);
    return [name, { shape, data }] as const;
  });
  await writeAdapter(join(folder, 'adapter'), {
    peft,
    baseModelNameOrPath: 'tiny',
    tensors: new Map(tensors),
  });
  const upload = ['adapters', 'upload', 'adapter', '--base-model', 'tiny', '--name', 'poet'];
  const { model, adapter_id: adapter } = await json(upload, ada);

  const args = ['export', model, '--format', 'merged', '--dtype', 'float32', '--output', 'merged'];
  const interrupted = async () => {
    let sent = false;
    const ran = await runGraft(args, {
      cwd: folder,
      env: { ...service, ...ada },
      onStderr: (text, child) => {
        if (sent || !/exp-\w+$/m.test(text)) return;
        sent = true;
        child.kill('SIGINT');
      },
    });
    assert.equal(ran.code, 130, ran.stderr);
    assert.match(ran.stderr, /Detached; the service continues\. .*\n {2}graft exports cancel ft:\S+ exp-\w+/);
    return /exp-\w+/.exec(ran.stderr)![0];
  };
  const id = await interrupted();
  assert.equal(await interrupted(), id);
  const { data } = await json(['exports', 'list', model], ada);
  assert.equal(data.length, 1);
  assert.equal(data[0].options.dtype, 'float32');

  // A refusal is the service's error, and nothing is written here.
  const ollama = ['export', model, '--format', 'ollama', '--output', 'out', '--option'];
  await ok(['exports', 'create', model, '--format', 'ollama', '--option', 'system=12'], ada);
  for (const [given, words] of [
    [['export', model, '--format', 'nope', '--output', 'out'], /the formats are merged, peft/],
    [[...ollama, 'num_ctx=many'], /num_ctx/],
    [[...ollama, 'sistem=12'], /sistem/],
    [
      ['export', 'ft:tiny:research:other:abcdabcd', '--format', 'merged', '--output', 'out'],
      /does not exist/,
    ],
    [['export', model, '--version-number', '1', '--format', 'peft', '--output', 'out'], /names a version/],
    [
      ['export', adapter, '--version-number', '2', '--format', 'peft', '--output', 'out'],
      /no version|does not exist/,
    ],
  ] as const) {
    const ran = await graft([...given], ada);
    assert.notEqual(ran.code, 0, given.join(' '));
    assert.match(ran.stderr, words);
  }
  assert.equal((await json(['exports', 'list', model], ada)).data.length, 2);
});

test('options that belong to folders or to versions are refused for the other, before any request', async (t) => {
  const cwd = temporaryFolder(t);
  const unreachable = { GRAFT_BASE_URL: 'http://127.0.0.1:9/v1', GRAFT_API_KEY: 'graft_abc_def' };
  await mkdir(join(cwd, 'taken'));
  await writeFile(join(cwd, 'taken/file'), '');
  await mkdir(join(cwd, 'ft:folder'));
  const to = ['--format', 'merged', '--output', 'out'];
  for (const [args, code, words] of [
    [['ft:a:b:c', ...to, '--model', 'tiny'], 2, /--model is of folders on this machine; the service knows/],
    [['ftjob-1', ...to, '--name', 'x'], 2, /--name is of folders on this machine/],
    [['adpt-1', '--format', 'merged'], 2, /Missing: --output\./],
    [['ft:a:b:c'], 2, /Missing: --format, --output\./],
    [['ft:a:b:c', '--format', 'merged', '--output', 'taken'], 1, /taken exists already/],
    [['folder', ...to, '--model', 'tiny', '--version-number', '1'], 2, /--version-number is of versions on/],
    [['folder', ...to, '--model', 'tiny', '--base-url', 'http://x'], 2, /--base-url is of versions on/],
    // A folder of this name is one.
    [['ft:folder', ...to], 2, /Missing: --model\./],
  ] as const) {
    const ran = await runGraft(['export', ...args], { cwd, env: unreachable });
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stderr}`);
    assert.match(ran.stderr, words);
  }
});
