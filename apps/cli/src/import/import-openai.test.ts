/** `graft import openai` between a recording server with OpenAI's API and a real Graft API. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { GraftClient } from '@graft/client';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createApiKey } from '@graft/service/keys';
import { createTeam } from '@graft/service/teams';
import { openTestServices } from '@graft/service/testing';
import {
  freePort,
  graftEnvironment,
  startProcess,
  whenReady,
} from '../../../../test/service/running-graft.ts';
import { OPENAI_KEY, type OpenAiServer, openAiJob, openAiServer } from '../testing/openai-server.ts';
import { runGraft, temporaryFolder } from '../testing/run-graft.ts';
import type { ImportReport } from './import-report.ts';

let services: Awaited<ReturnType<typeof openTestServices>>;
let running: ReturnType<typeof startProcess>;
let baseUrl: string;
let teams = 0;

before(async () => {
  services = await openTestServices({ role: 'admin' });
  const folder = services.env.dataDir;
  await writeTinyModel(join(folder, 'tiny'), { max_position_embeddings: 512 });
  await writeFile(join(folder, 'models.json'), '{"tiny":{"folder":"tiny"}}');
  const port = await freePort();
  baseUrl = `http://127.0.0.1:${port}/v1`;
  running = startProcess(
    'scripts/start/main.ts',
    ['api'],
    graftEnvironment({
      PORT: String(port),
      DATABASE_URL: services.env.databaseUrl,
      GRAFT_DATA_DIR: folder,
      GRAFT_BASE_MODELS: join(folder, 'models.json'),
    }),
  );
  await whenReady(running, `http://127.0.0.1:${port}/readyz`, 600);
});
after(async () => {
  await running?.end('SIGTERM');
  await services?.close();
});

const chat = (text: string): string =>
  `${JSON.stringify({
    messages: [
      { role: 'user', content: text },
      { role: 'assistant', content: 'b' },
    ],
  })}\n`;

/** A server with files and jobs of every kind. */
async function fullServer(t: TestContext): Promise<OpenAiServer> {
  const server = await openAiServer(t);
  const files: [string, string][] = [
    ['file-train', chat('train').repeat(300)],
    ['file-valid', chat('valid')],
    ['file-same', chat('valid')],
    ['file-dpo', '{"input":{"messages":[]},"preferred_output":[],"non_preferred_output":[]}\n'],
    ['file-secret', chat('secret')],
    ['file-large', chat('large').repeat(2000)],
  ];
  for (const [id, content] of files) server.files.set(id, { filename: `${id.slice(5)}.jsonl`, content });
  const refused = { status: 400, message: 'To help mitigate abuse, downloading of files is disabled.' };
  server.files.get('file-secret')!.refused = refused;
  server.jobs.push(
    openAiJob('ftjob-old', { validation_file: 'file-valid', metadata: { team: 'support' } }),
    openAiJob('ftjob-gone', { training_file: 'file-gone' }),
    openAiJob('ftjob-secret', { training_file: 'file-secret' }),
    openAiJob('ftjob-rft', { method: { type: 'reinforcement', reinforcement: {} } }),
    openAiJob('ftjob-dpo', { training_file: 'file-dpo', method: { type: 'dpo', dpo: {} } }),
    openAiJob('ftjob-failed', { status: 'failed' }),
    openAiJob('ftjob-41', { model: 'gpt-4.1-2025-04-14' }),
    openAiJob('ftjob-new', { training_file: 'file-same', user_provided_suffix: 'new one' }),
  );
  return server;
}

/** A new team, and the command as run by its member. */
async function importer(t: TestContext, server: OpenAiServer) {
  const folder = temporaryFolder(t);
  const team = await createTeam(services, { name: `team-${teams++}` });
  const { key } = await createApiKey(services, team.id, { name: 'cli', role: 'member' });
  const env = { ...server.env, GRAFT_BASE_URL: baseUrl, GRAFT_API_KEY: key, OPENAI_LOG: 'debug' };
  const outputs: string[] = [];
  const raw = async (args: string[], more: Record<string, string> = {}) => {
    const ran = await runGraft(['import', 'openai', ...args], { cwd: folder, env: { ...env, ...more } });
    outputs.push(ran.stdout, ran.stderr);
    return ran;
  };
  const run = async (args: string[], code = 0): Promise<ImportReport> => {
    const ran = await raw([...args, '--json']);
    assert.equal(ran.code, code, ran.stderr);
    return JSON.parse(ran.stdout);
  };
  const client = new GraftClient({ baseUrl, apiKey: key });
  return { folder, run, raw, client, outputs };
}

const outcomes = (rows: { openai_id: string; outcome: string }[]) =>
  Object.fromEntries(rows.map(({ openai_id, outcome }) => [openai_id, outcome]));
const contents = (server: OpenAiServer) =>
  server.requests.filter(({ path }) => path.endsWith('/content')).map(({ path }) => path);
const model = ['--model', 'gpt-4o-mini=tiny'];

test('a dry run shows what would be done, and does none of it', async (t) => {
  const server = await fullServer(t);
  const { folder, run, raw, client } = await importer(t, server);
  const report = await run([...model, '--dry-run', '--create-jobs', '--max-file-bytes', '100000']);
  assert.deepEqual(outcomes(report.files), {
    'file-gone': 'left',
    'file-train': 'would copy',
    'file-valid': 'would copy',
    'file-same': 'would copy',
    'file-dpo': 'would copy',
    'file-secret': 'would copy',
    'file-large': 'left',
  });
  assert.deepEqual(outcomes(report.jobs), {
    'ftjob-old': 'would create',
    'ftjob-gone': 'left',
    'ftjob-secret': 'would create',
    'ftjob-rft': 'left',
    'ftjob-dpo': 'would create',
    'ftjob-failed': 'left',
    'ftjob-41': 'left',
    'ftjob-new': 'would create',
  });
  assert.deepEqual(await readdir(folder), []);
  assert.deepEqual(await client.files.list().toArray(), []);
  assert.deepEqual(contents(server), []);
  const shown = await raw([...model, '--dry-run']);
  assert.match(shown.stdout, /^OPENAI FILE +NAME +SIZE +OUTCOME/m);
  assert.match(shown.stdout, /^ftjob-rft .*reinforcement fine-tuning: Graft .* no graders$/m);
  assert.match(shown.stdout, /^ {2}learning_rate_multiplier multiplies /m);
  assert.match(shown.stdout, /^Dry run: nothing was changed/m);
});

test('files are copied and jobs created; a second run copies and creates nothing', async (t) => {
  const server = await fullServer(t);
  server.tooMany = 1;
  server.files.get('file-train')!.breaks = 1;
  const { folder, run, client, outputs } = await importer(t, server);
  const report = await run([...model, '--create-jobs', '--max-file-bytes', '100000']);
  assert.deepEqual(outcomes(report.files), {
    'file-gone': 'left',
    'file-train': 'copied',
    'file-valid': 'there',
    'file-same': 'copied',
    'file-dpo': 'left',
    'file-secret': 'left',
    'file-large': 'left',
  });
  const file = (id: string) => report.files.find(({ openai_id }) => openai_id === id)!;
  assert.match(file('file-gone').why ?? '', /deleted at OpenAI/);
  assert.match(file('file-secret').why ?? '', /downloading of files is disabled.*put your own copy at/);
  assert.match(file('file-dpo').why ?? '', /^Graft rejected it: .*line 1/);
  assert.equal(file('file-valid').graft_id, file('file-same').graft_id);
  const uploaded = await client.files.retrieve(file('file-train').graft_id!);
  assert.deepEqual(
    [uploaded.filename, uploaded.bytes, uploaded.sha256],
    ['train.jsonl', server.files.get('file-train')!.content.length, file('file-train').sha256],
  );

  assert.deepEqual(outcomes(report.jobs), {
    'ftjob-old': 'created',
    'ftjob-gone': 'left',
    'ftjob-secret': 'left',
    'ftjob-rft': 'left',
    'ftjob-dpo': 'left',
    'ftjob-failed': 'left',
    'ftjob-41': 'left',
    'ftjob-new': 'created',
  });
  const created = report.jobs.find(({ openai_id }) => openai_id === 'ftjob-old')!;
  const job = await client.fineTuning.jobs.retrieve(created.graft_id!);
  assert.deepEqual(
    [job.model, job.training_file, job.validation_file, job.seed, job.metadata, job.hyperparameters.n_epochs],
    [
      'tiny',
      file('file-train').graft_id,
      file('file-valid').graft_id,
      42,
      { team: 'support', openai_job: 'ftjob-old' },
      3,
    ],
  );
  assert.equal(job.peft.peft_type, 'LORA');

  // The folder contains the report and the requests that create the jobs.
  const markdown = await readFile(join(folder, 'openai-import/report.md'), 'utf8');
  assert.match(markdown, /^\| ftjob-rft \| .*no graders \|$/m);
  assert.match(markdown, /^- the suffix "new one" becomes new-one \(ftjob-new\)$/m);
  const prepared = JSON.parse(await readFile(join(folder, 'openai-import/jobs/ftjob-old.json'), 'utf8'));
  assert.deepEqual(prepared, created.create);

  const reads = contents(server).length;
  const again = await run([...model, '--create-jobs', '--max-file-bytes', '100000']);
  const twice = contents(server).slice(reads);
  assert.deepEqual(twice, ['/files/file-secret/content']);
  for (const id of ['file-train', 'file-valid', 'file-same']) {
    assert.equal(outcomes(again.files)[id], 'there');
  }
  assert.deepEqual(
    [outcomes(again.jobs)['ftjob-old'], outcomes(again.jobs)['ftjob-new']],
    ['there', 'there'],
  );
  assert.equal((await client.files.list().toArray()).length, 2);
  assert.equal((await client.fineTuning.jobs.list().toArray()).length, 2);

  // Without the folder, files are downloaded again and compared by content; nothing is uploaded or created again.
  await rm(join(folder, 'openai-import'), { recursive: true });
  const third = await run([...model, '--create-jobs', '--job', 'ftjob-old']);
  assert.deepEqual(outcomes(third.files), { 'file-train': 'there', 'file-valid': 'there' });
  assert.deepEqual(outcomes(third.jobs), { 'ftjob-old': 'there' });

  assert.ok(server.requests.every(({ method }) => method === 'GET'));
  const written = await Promise.all(
    (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => readFile(join(entry.parentPath, entry.name), 'utf8')),
  );
  for (const text of [...outputs, ...written]) assert.ok(!text.includes(OPENAI_KEY));
});

test('jobs are prepared first and created later, and a local copy replaces a file that OpenAI does not return', async (t) => {
  const server = await fullServer(t);
  const { folder, run } = await importer(t, server);
  const first = await run([...model, '--job', 'ftjob-secret', '--job', 'ftjob-new']);
  assert.deepEqual(outcomes(first.jobs), { 'ftjob-secret': 'left', 'ftjob-new': 'prepared' });
  assert.deepEqual(Object.keys(outcomes(first.files)).sort(), ['file-same', 'file-secret']);
  await writeFile(join(folder, 'openai-import/files/file-secret.jsonl'), chat('secret'));
  const then = await run([...model, '--job', 'ftjob-secret', '--job', 'ftjob-new', '--create-jobs']);
  assert.deepEqual(outcomes(then.jobs), { 'ftjob-secret': 'created', 'ftjob-new': 'created' });
  assert.deepEqual(outcomes(then.files), { 'file-secret': 'copied', 'file-same': 'there' });
});

test('two runs at once make every job once', async (t) => {
  const server = await openAiServer(t);
  server.files.set('file-train', { filename: 'a.jsonl', content: chat('a') });
  server.jobs.push(openAiJob('ftjob-1'), openAiJob('ftjob-2'));
  const { raw, client } = await importer(t, server);
  const runs = await Promise.all(
    ['one', 'two'].map((folder) => raw([...model, '--create-jobs', '--folder', folder])),
  );
  // If the slower run uploaded a second copy of the file, its request differs; it reports that in its result, not as an error.
  for (const { stderr } of runs) assert.doesNotMatch(stderr, /^graft: /m);
  const jobs = await client.fineTuning.jobs.list().toArray();
  assert.deepEqual(jobs.map(({ metadata }) => metadata?.openai_job).sort(), ['ftjob-1', 'ftjob-2']);
});

test('a damaged download is fetched again; one that is never whole fails, and nothing of it stays', async (t) => {
  const server = await openAiServer(t);
  server.files.set('file-train', { filename: 'a.jsonl', content: chat('a') });
  const { folder, run, client } = await importer(t, server);
  await run(model);
  const [copied] = await client.files.list().toArray();
  await client.files.delete(copied!.id);
  const path = join(folder, 'openai-import/files/file-train.jsonl');
  await writeFile(path, (await readFile(path, 'utf8')).replace('"a"', '"x"'));
  const mended = await run(model);
  assert.deepEqual(outcomes(mended.files), { 'file-train': 'copied' });
  assert.equal(mended.files[0]?.sha256, copied?.sha256);

  for (const bytes of [5, 5000]) {
    server.files.set('file-wrong', { filename: 'b.jsonl', content: chat('b'), bytes });
    const wrong = await run(model, 1);
    assert.equal(outcomes(wrong.files)['file-wrong'], 'failed');
    assert.match(
      wrong.files.find(({ openai_id }) => openai_id === 'file-wrong')?.why ?? '',
      /longer than|ended after/,
    );
    assert.deepEqual(await readdir(join(folder, 'openai-import/files')), ['file-train.jsonl']);
  }
});

test('jobs are checked before they are created: tools are added, and lines that Graft cannot read named or left out', async (t) => {
  const server = await openAiServer(t);
  const line = (user: unknown, assistant: object, more = {}) =>
    `${JSON.stringify({
      messages: [
        { role: 'user', content: user },
        { role: 'assistant', ...assistant },
      ],
      ...more,
    })}\n`;
  const call = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{}' } };
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }];
  const calls = line('a', { content: null, tool_calls: [call] }, { tools }).repeat(10);
  const image = line([{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }], {
    content: 'b',
  });
  server.files.set('file-tools', { filename: 'tools.jsonl', content: calls });
  server.files.set('file-images', { filename: 'images.jsonl', content: chat('a').repeat(10) + image });
  server.files.set('file-long', { filename: 'long.jsonl', content: chat('long '.repeat(500)).repeat(10) });
  server.jobs.push(
    openAiJob('ftjob-tools', { training_file: 'file-tools' }),
    openAiJob('ftjob-images', { training_file: 'file-images' }),
    openAiJob('ftjob-long', { training_file: 'file-long' }),
  );
  const { run, client } = await importer(t, server);
  const prepared = await run(model);
  assert.deepEqual(outcomes(prepared.jobs), {
    'ftjob-tools': 'prepared',
    'ftjob-images': 'left',
    'ftjob-long': 'left',
  });
  const job = (id: string, report = prepared) => report.jobs.find(({ openai_id }) => openai_id === id)!;
  assert.deepEqual(job('ftjob-tools').create?.training, { chat_template: 'tools' });
  assert.match(job('ftjob-tools').differs.join(), /the chat template of tiny has no tools/);
  assert.match(
    job('ftjob-images').why ?? '',
    /line 11 messages\[0\] has an image in content\[0\]; Graft reads only text/,
  );
  assert.match(job('ftjob-long').why ?? '', /^Graft rejected it: .*the limit \(max_seq_length\) is 512/);

  const created = await run([...model, '--create-jobs', '--on-bad-lines', 'skip']);
  assert.deepEqual(outcomes(created.jobs), {
    'ftjob-tools': 'created',
    'ftjob-images': 'created',
    'ftjob-long': 'left',
  });
  assert.equal((await client.fineTuning.jobs.list().toArray()).length, 2);
  const { training } = await client.fineTuning.jobs.retrieve(job('ftjob-images', created).graft_id!);
  assert.equal(training?.on_bad_lines, 'skip');
});

test('what cannot be read at all is reported once, without the key', async (t) => {
  const server = await fullServer(t);
  const { folder, raw, outputs } = await importer(t, server);
  const wrong = 'sk-proj-wrong-0123456789abcdef';
  const refused = await raw([...model, '--debug'], { OPENAI_API_KEY: wrong });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^graft: OpenAI rejected OPENAI_API_KEY: 401 Incorrect API key provided: …/m);
  for (const text of outputs) assert.ok(!text.includes(wrong));
  assert.equal((await raw(model, { OPENAI_API_KEY: '' })).code, 2);
  assert.equal((await raw([...model, '--openai-base-url', 'file:///etc'])).code, 2);
  assert.equal((await raw(['--model', 'gpt-4o-mini'])).code, 2);
  assert.match(
    (await raw([...model, '--job', 'ftjob-none'])).stderr,
    /Cannot read the fine-tuning job ftjob-none/,
  );
  server.pagesGoRound = true;
  assert.match((await raw(model)).stderr, /its pages repeat/);
  server.pagesGoRound = false;
  server.jobs.push(openAiJob('../../etc/passwd'));
  assert.match((await raw(model)).stderr, /not a job object of OpenAI/);
  server.jobs.pop();
  server.jobs.push(openAiJob('ftjob-x', { training_file: '../file' }));
  assert.match((await raw(model)).stderr, /not a job object of OpenAI/);
  assert.ok(!existsSync(join(folder, 'openai-import')) && !existsSync(join(tmpdir(), 'file')));
});
