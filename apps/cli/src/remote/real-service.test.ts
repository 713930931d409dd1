import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createTestDatabase } from '@graft/service/testing';
import { freePort, startProcess, whenReady } from '../../../../test/service/running-graft.ts';
import { graftIn, runGraft, temporaryFolder } from '../testing/run-graft.ts';

test('the verbs against a real service: from the first key to an adapter that answers', async (t) => {
  const folder = temporaryFolder(t);
  const env = await startGraft(t, folder);
  const { graft, ok, json } = graftIn(folder, env);

  // The operator creates a team and a key.
  assert.match((await ok(['admin', 'teams', 'create', 'research'])).stdout, /^Team research is team-/);
  const taken = await graft(['admin', 'teams', 'create', 'research']);
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /^graft: There is a team named research\./m);
  const made = await ok(['admin', 'keys', 'create', '--team', 'research', '--name', 'laptop']);
  const key = made.stdout.trim();
  assert.match(key, /^graft_\w+_\w+$/);
  const keys = await ok(['admin', 'keys', 'list', '--team', 'research', '--json']);
  assert.equal(keys.stdout.includes(key.split('_')[2] as string), false);
  const ada = { GRAFT_API_KEY: key };

  // A damaged file is rejected with every bad line; a valid file becomes a job, which is watched to its end.
  await writeFile(join(folder, 'bad.jsonl'), '{"text":"a"}\nnope\n{"text":2}\n');
  const refused = await graft(['files', 'upload', 'bad.jsonl'], ada);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /line 2 .*line 3 /);
  const example = (i: number) => JSON.stringify({ prompt: `${i % 4}+1=`, completion: `${(i % 4) + 1}` });
  await writeFile(join(folder, 'train.jsonl'), Array.from({ length: 16 }, (_, i) => example(i)).join('\n'));
  const create = ['jobs', 'create', '--model', 'tiny', '--data', 'train.jsonl', '--suffix', 'sums'];
  const named = await graft([...create.slice(0, -1), ' ½ '], ada);
  assert.match(named.stderr, /Nothing of it can be in a name/);
  const unknown = await graft([...create, '--peft', '{"peft_type":"LORA","target_modules":["q_prog"]}'], ada);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /nearest: q_proj/);
  assert.deepEqual((await json(['files', 'list'], ada)).data, []);

  const watched = await ok([...create, '--epochs', '2', '--watch'], ada);
  assert.match(watched.stderr, /^step 4\/4 {2}loss \d+\.\d{4} /m);
  const model = /Succeeded in .*: (ft:tiny:research:sums:\w+)/.exec(watched.stdout)?.[1] as string;
  assert.match(watched.stdout, /Adapter adpt-\w+, version 1/);
  const { data: jobs } = await json(['jobs', 'list'], ada);
  assert.equal(jobs.length, 1);
  const events = await json(['jobs', 'events', jobs[0].id], ada);
  assert.match(events.data[0].message, /^Created fine-tuning job/);
  const lines = (await ok(['jobs', 'watch', jobs[0].id, '--json'], ada)).stdout.trim().split('\n');
  const steps = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'metric');
  assert.deepEqual(
    steps.map(({ metric }) => metric.step),
    [1, 2, 3, 4],
  );
  const late = await graft(['jobs', 'cancel', jobs[0].id], ada);
  assert.equal(late.code, 1);
  assert.match(late.stderr, /succeeded/);

  // An equal file is not uploaded again, and stays when a job or an estimate does not need it.
  const trained = (await json(['files', 'list'], ada)).data;
  const reused = await ok(['files', 'upload', 'train.jsonl', '--json'], ada);
  assert.equal(reused.stderr, `train.jsonl is there already as ${trained[0].id}.\n`);
  assert.equal(JSON.parse(reused.stdout).id, trained[0].id);
  const tooLong = await graft([...create, '--training', '{"max_seq_length":9999}'], ada);
  assert.equal(tooLong.code, 1);
  assert.doesNotMatch(tooLong.stderr, /Deleted/);
  await ok(['estimate', '--model', 'tiny', '--data', 'train.jsonl'], ada);
  assert.deepEqual((await json(['files', 'list'], ada)).data, trained);
  const columns = ['--columns', 'prompt=prompt,completion=completion'];
  const mapped = await json(['files', 'upload', 'train.jsonl', ...columns], ada);
  assert.notEqual(mapped.id, trained[0].id);
  assert.equal((await json(['files', 'upload', 'train.jsonl', ...columns], ada)).id, mapped.id);
  await ok(['files', 'delete', mapped.id], ada);
  const limited = ['--team', 'research', '--name', 'upload', '--scopes', 'files:write'];
  const writer = await ok(['admin', 'keys', 'create', ...limited]);
  const blind = await json(['files', 'upload', 'train.jsonl'], { GRAFT_API_KEY: writer.stdout.trim() });
  assert.notEqual(blind.id, trained[0].id);
  await ok(['files', 'delete', blind.id], ada);

  // An alias is called and listed as a model, until it is deleted.
  assert.equal(
    (await ok(['models', 'alias', 'gpt-4o-mini', model], ada)).stdout,
    `Requests for gpt-4o-mini now use ${model}.\n`,
  );
  assert.match((await ok(['models', 'aliases'], ada)).stdout, /^gpt-4o-mini +ft:tiny:research:sums:\w+ /m);
  assert.match((await ok(['models', 'list'], ada)).stdout, /^gpt-4o-mini +tiny .*ft:tiny:research:sums/m);
  const aliased = ['chat', '--model', 'gpt-4o-mini', '-m', '2+1=', '--max-tokens', '1'];
  assert.equal((await json(aliased, ada)).model, model);
  await ok(['models', 'unalias', 'gpt-4o-mini'], ada);
  assert.match((await graft(aliased, ada)).stderr, /'gpt-4o-mini' does not exist/);

  // The report of a file has default options, or those of a planned job, with the flags of one.
  const { data: files } = await json(['files', 'list'], ada);
  const report = ['files', 'report', files[0].id];
  const plain = await ok([...report, '--model', 'tiny'], ada);
  assert.match(plain.stdout, /^too long +0 over 256 tokens$/m);
  assert.doesNotMatch(plain.stdout, /As the job reads it/);
  const flags = ['--max-seq-length', '8', '--training', '{"overlong":"skip"}'];
  // Each example has six tokens, two more than fit beside the four positions.
  flags.push('--peft', '{"peft_type":"PROMPT_TUNING","num_virtual_tokens":4}');
  const planned = await ok([...report, '--model', 'tiny', ...flags], ada);
  assert.match(
    planned.stdout,
    /^As the job reads it\nmethod +supervised\noverlong +skip\nuses +0 examples, 16 skipped$/m,
  );
  assert.match(planned.stdout, /^Over 8 tokens, which the job skips$/m);
  for (const [args, fault] of [
    [['--rank', '2'], /need --model/],
    [['--model', 'none', '--rank', '2'], /'none' does not exist/],
    [['--model', 'tiny', '--training', '{"overlong":"cut"}'], /overlong/],
    [
      ['--model', 'tiny', '--training', '{"max_seq_length":3}', '--max-seq-length', '4'],
      /both set max_seq_length/,
    ],
  ] as const) {
    const { code, stderr } = await graft([...report, ...args], ada);
    assert.ok(code !== 0);
    assert.match(stderr, fault);
  }

  // The adapter is downloaded as a folder and generates the same locally as on the service.
  const downloaded = await json(['adapters', 'download', model, '--output', 'adapter'], ada);
  for (const file of downloaded.files) {
    assert.equal((await stat(join(folder, 'adapter', file.path))).size, file.bytes);
  }
  const config = JSON.parse(await readFile(join(folder, 'adapter/adapter_config.json'), 'utf8'));
  assert.equal(config.peft_type, 'LORA');
  const chat = ['chat', '--model', model, '-m', '2+1=', '--max-tokens', '4', '--temperature', '0'];
  const there = await json(chat, ada);
  const generate = ['generate', '--model', 'tiny', '--adapter', 'adapter', '-m', '2+1=', '--max-tokens', '4'];
  const here = await json(generate);
  assert.equal(there.choices[0].message.content, here.text);

  // The service exports it; the merged model generates the same without the adapter.
  const exported = await json(['exports', 'create', model, '--format', 'merged', '--output', 'merged'], ada);
  assert.equal(exported.status, 'succeeded');
  const { data: exports } = await json(['exports', 'list', model], ada);
  assert.deepEqual([exports.length, exports[0].id], [1, exported.id]);
  const merged = ['generate', '--model', './merged', '-m', '2+1=', '--max-tokens', '4'];
  assert.equal((await json(merged)).text, here.text);
  // `graft export` of a version is the same, in one step.
  const again = ['export', model, '--format', 'merged', '--output', 'again'];
  assert.deepEqual([(await json(again, ada)).id, (await graft(again, ada)).code], [exported.id, 1]);
  assert.match(
    (await ok([...again, '--overwrite'], ada)).stdout,
    /^Saved merged of version 1\nin again: .*digests checked/,
  );
  assert.match((await ok(['exports', 'keep', model, exported.id], ada)).stdout, /kept until it is deleted/);
  await ok(['exports', 'delete', model, exported.id], ada);

  // A sweep is a job like any other; its table shows the winning trial, and its adapter generates.
  const sweep = ['--sweep', '{"learning_rate":[0.001,0.01],"peft_type":["LORA","PROMPT_TUNING"]}'];
  const tried = [...create, '--validation', 'train.jsonl', '--epochs', '3', ...sweep];
  const estimate = await json(['estimate', ...tried.slice(2).filter((_, i) => i !== 4 && i !== 5)], ada);
  // Six steps each: so few that no trial is stopped early.
  assert.equal(estimate.steps, 4 * 6);
  const best = /Succeeded in .*: (ft:tiny:research:sums:\w+)/.exec(
    (await ok([...tried, '--watch'], ada)).stdout,
  )?.[1];
  const { data: all } = await json(['jobs', 'list', '--limit', '1'], ada);
  const { data: trials } = await json(['jobs', 'trials', all[0].id], ada);
  assert.deepEqual(trials.map(({ step }: { step: number }) => step).sort(), [6, 6, 6, 6]);
  assert.equal(trials.filter(({ status }: { status: string }) => status === 'won').length, 1);
  const rows = (await ok(['jobs', 'trials', all[0].id], ada)).stdout;
  assert.match(rows, /^TRIAL +STATUS +METHOD +R +LEARNING RATE +STEP +LOSS AT 6$/m);
  assert.match(rows, /^\d +won +\w+ +(\d+ +)?0\.01 +6 +[\d.]+$/m);
  assert.match((await ok(['jobs', 'trials', jobs[0].id], ada)).stdout, /^This job is not a sweep/);
  assert.equal((await json(['chat', '--model', best!, '-m', '2+1=', '--max-tokens', '4'], ada)).model, best);

  // The uploaded copy is another adapter that generates the same, also through a tag that is moved to it.
  const upload = [
    'adapters',
    'upload',
    'adapter',
    '--base-model',
    'tiny',
    '--name',
    'again',
    '--parent',
    model,
  ];
  const uploaded = await json([...upload, '--note', 'Back again.'], ada);
  assert.deepEqual([uploaded.version, uploaded.fine_tuning_job_id], [1, null]);
  const ask = async (name: string) =>
    (await json(['chat', '--model', name, '-m', '2+1=', '--max-tokens', '4', '--temperature', '0'], ada))
      .choices[0].message.content;
  assert.equal(await ask(uploaded.model), here.text);
  const tagged = await ok(['adapters', 'tag', uploaded.model, 'production', '--expect', '0'], ada);
  assert.equal(tagged.stdout, 'ft:tiny:research:again:production points at version 1\n');
  assert.equal(await ask('ft:tiny:research:again:production'), here.text);
  const moved = await graft(['adapters', 'tag', uploaded.adapter_id, 'production', '--expect', '0'], ada);
  assert.equal(moved.code, 1);
  assert.match(moved.stderr, /points at version 1; nothing was changed/);
  const compared = await ok(['adapters', 'compare', model, 'ft:tiny:research:again:production'], ada);
  // A job has the requested modules, an uploaded file the resolved ones.
  assert.match(compared.stdout, /^OPTION .*\ntarget_modules +"all-linear" +\["model\.layers.*\n\nLINEAGE/);
  assert.match(compared.stdout, /^adapter_model\.safetensors +same/m);
  const lineage = await ok(['adapters', 'lineage', uploaded.adapter_id], ada);
  assert.match(
    lineage.stdout,
    new RegExp(
      `^base_model tiny\n.*\n {4}adapter_version ${model}\n {6}adapter_version ${uploaded.model}$`,
      'm',
    ),
  );
  assert.equal((await ok(['adapters', 'note', uploaded.model], ada)).stdout, 'Back again.\n');
  assert.equal((await ok(['adapters', 'note', uploaded.model, '--clear'], ada)).stdout, 'No note.\n');
  const held = await graft(['adapters', 'delete', uploaded.model], ada);
  assert.equal(held.code, 1);
  assert.match(held.stderr, /move the tag "production" to another version or remove it first/);
  await ok(['adapters', 'untag', uploaded.adapter_id, 'production'], ada);
  await ok(['adapters', 'delete', uploaded.adapter_id, '--all'], ada);
  assert.equal((await graft(['adapters', 'get', uploaded.adapter_id], ada)).code, 1);
  assert.match((await ok(['adapters', 'restore'], ada)).stdout, new RegExp(uploaded.model));
  await ok(['adapters', 'restore', uploaded.adapter_id, '--version-number', '1'], ada);
  assert.equal(await ask(uploaded.model), here.text);
  await writeFile(join(folder, 'adapter/adapter_model.safetensors'), 'PK\x03\x04');
  const bad = await graft(upload, ada);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /adapter_model\.safetensors is only 4 bytes long/);

  // With only .env, the operator reaches the same service from any folder.
  const settings = Object.entries(env).filter(([name]) => /^GRAFT_(BASE_URL|OPERATOR_KEY)$/.test(name));
  await writeFile(join(folder, 'settings'), settings.map(([name, value]) => `${name}=${value}\n`).join(''));
  const teams = await runGraft(['admin', 'teams', 'list', '--json'], {
    env: { GRAFT_ENV_FILE: join(folder, 'settings') },
  });
  assert.equal(teams.code, 0, teams.stderr);
  assert.ok(JSON.parse(teams.stdout).data.some((team: { name: string }) => team.name === 'research'));

  // Another team sees nothing of it, and a revoked key is rejected.
  assert.deepEqual((await json(['jobs', 'list'])).data, []);
  const foreign = await graft(['adapters', 'download', model, '--output', 'stolen']);
  assert.equal(foreign.code, 1);
  assert.match(foreign.stderr, /does not exist/);
  assert.match((await ok(['admin', 'keys', 'revoke', key])).stdout, /^Revoked \w+ of team research\.$/m);
  const revoked = await graft(['jobs', 'list'], ada);
  assert.equal(revoked.code, 1);
  assert.match(revoked.stderr, /^graft: .*Set GRAFT_API_KEY, or save a key with `graft login`/);
});

/** Starts API and worker with a separate database, data folder and port; returns the environment of the command. */
async function startGraft(t: TestContext, folder: string): Promise<Record<string, string>> {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  await writeTinyModel(join(folder, 'tiny'));
  await writeFile(join(folder, 'models.json'), '{"tiny":{"folder":"tiny"}}');
  const port = await freePort();
  const apiKey = `graft_clitest${port}_${'k1e2y3'.repeat(6)}`;
  const env = {
    DATABASE_URL: database.url,
    GRAFT_DATA_DIR: join(folder, 'data'),
    GRAFT_BASE_MODELS: join(folder, 'models.json'),
  };
  const running = startProcess('scripts/start/main.ts', [], {
    ...process.env,
    ...env,
    GRAFT_ENV_FILE: '',
    REDIS_URL: '',
    PORT: String(port),
    HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
    GRAFT_BOOTSTRAP_KEY: apiKey,
  });
  t.after(() => running.end('SIGTERM'));
  const operator = await runGraft(['admin', 'bootstrap'], { env });
  assert.equal(operator.code, 0, operator.stderr);
  await whenReady(running, `http://127.0.0.1:${port}/readyz`);
  const GRAFT_OPERATOR_KEY = operator.stdout.trim();
  return { ...env, GRAFT_BASE_URL: `http://127.0.0.1:${port}/v1`, GRAFT_API_KEY: apiKey, GRAFT_OPERATOR_KEY };
}
