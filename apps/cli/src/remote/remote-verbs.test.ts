import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runGraft, temporaryFolder } from '../testing/run-graft.ts';
import { KEY, type WireServer, wireServer } from '../testing/wire-server.ts';

/** Runs a verb that must succeed, with human-readable and with JSON output. */
async function bothWays(
  t: TestContext,
  args: string[],
): Promise<{ text: string; json: never; server: WireServer }> {
  const server = await wireServer(t);
  const other = await wireServer(t);
  const [human, machine] = await Promise.all([
    runGraft(args, { env: server.env }),
    runGraft([...args, '--json'], { env: other.env }),
  ]);
  assert.equal(human.code, 0, human.stderr);
  assert.equal(machine.code, 0, machine.stderr);
  return { text: human.stdout, json: JSON.parse(machine.stdout) as never, server };
}

test('files: upload, list, get, delete', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'one.jsonl');
  await writeFile(path, '{"text":"one"}\n');

  const upload = await bothWays(t, ['files', 'upload', path]);
  assert.match(upload.text, /file-1/);
  assert.equal((upload.json as { id: string }).id, 'file-1');
  const sent = upload.server.requests.find(({ method }) => method === 'POST');
  assert.match(sent?.body ?? '', /name="purpose"\r\n\r\nfine-tune\r\n/);

  const list = await bothWays(t, ['files', 'list', '--limit', '2']);
  assert.match(list.text, /^ID +FILE +SIZE +EXAMPLES/);
  assert.match(list.text, /file-1 +one\.jsonl +14 B +1 +fine-tune +20\d\d-/);
  assert.equal((list.json as { data: unknown[] }).data.length, 2);

  const get = await bothWays(t, ['files', 'get', 'file-1']);
  assert.match(get.text, /^format +text$/m);

  const saved = join(folder, 'saved.jsonl');
  const save = await runGraft(['files', 'get', 'file-1', '--output', saved], { env: get.server.env });
  assert.equal(save.stdout, `Saved 15 B to ${saved}\n`);
  assert.equal(await readFile(saved, 'utf8'), '{"text":"one"}\n');

  const deleted = await bothWays(t, ['files', 'delete', 'file-1']);
  assert.equal(deleted.text, 'Deleted file-1\n');
});

test('a data set of the Hub is fetched by the service, for itself and for a job', async (t) => {
  const source = 'hf://datasets/org/name?split=train';
  const upload = await bothWays(t, ['files', 'upload', source, '--columns', 'prompt=question']);
  assert.match(upload.text, /org--name-train\.parquet/);
  const [asked] = upload.server.requests;
  assert.equal(`${asked!.method} ${asked!.path}`, 'POST /files/import');
  assert.deepEqual(JSON.parse(asked!.body), {
    purpose: 'fine-tune',
    source,
    columns: { prompt: 'question' },
  });
  const server = await wireServer(t);
  const create = (data: string) =>
    runGraft(['jobs', 'create', '--model', 'm', '--data', data], { env: server.env });
  const created = await create(source);
  assert.equal(created.code, 0, created.stderr);
  assert.match(created.stderr, /^Fetched hf:\S+ as file-1\.$/m);
  const job = server.requests.find(({ path }) => path === '/fine_tuning/jobs');
  assert.equal(JSON.parse(job!.body).training_file, 'file-1');
  const refused = await create('hf://datasets/none/name');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /It is not allowed/);
});

test('jobs: list, get, cancel, events', async (t) => {
  const list = await bothWays(t, ['jobs', 'list']);
  assert.match(list.text, /ftjob-1 +queued/);
  const filters = ['--status', 'failed', '--model', 'm', '--metadata', 'run=a', '--since', '2026-01-01'];
  const filtered = await bothWays(t, ['jobs', 'list', ...filters, '--before', '2026-01-02T00:00Z']);
  const { searchParams } = new URL(filtered.server.requests[0]!.path, 'http://graft');
  assert.deepEqual(Object.fromEntries(searchParams), {
    limit: '20',
    status: 'failed',
    model: 'm',
    'metadata[run]': 'a',
    created_after: '1767225600',
    created_before: '1767312000',
  });
  const changes = ['--set', 'training.learning_rate=1e-4', '--set', 'training.x=a=b', '--set', 'seed=null'];
  const clone = await bothWays(t, ['jobs', 'clone', 'ftjob-1', ...changes]);
  assert.match(clone.text, /^Created ftjob-2 like ftjob-1; it is queued\./);
  assert.deepEqual(JSON.parse(clone.server.requests[0]!.body), {
    training: { learning_rate: 1e-4, x: 'a=b' },
    seed: null,
  });
  for (const bad of [
    ['--set', 'seed'],
    ['--set', '.a=1'],
    ['--set', 'a=1', '--set', 'a.b=2'],
  ]) {
    const ran = await runGraft(['jobs', 'clone', 'ftjob-1', ...bad], { env: clone.server.env });
    assert.equal(ran.code, 2, bad.join(' '));
  }
  const get = await bothWays(t, ['jobs', 'get', 'ftjob-1']);
  assert.match(get.text, /^status +queued, number 2 in the queue$/m);
  assert.match(get.text, /^chosen +learning_rate 2e-4: what suits LoRA$/m);
  assert.match(get.text, /^starts +about 20\d\d-.* likely by 20\d\d-/m);
  const priority = await bothWays(t, ['jobs', 'priority', 'ftjob-1', 'high']);
  assert.equal(priority.text, 'ftjob-1 has high priority now.\n');
  assert.equal(priority.server.requests[0]?.body, '{"priority":"high"}');
  const cancel = await bothWays(t, ['jobs', 'cancel', 'ftjob-1']);
  assert.equal(cancel.text, 'Cancelled ftjob-1; it is cancelled now.\n');
  const events = await bothWays(t, ['jobs', 'events', 'ftjob-1']);
  assert.match(events.text, / {2}Message 1\n.* {2}warn: Message 2\n$/);

  const server = await wireServer(t);
  const follow = await runGraft(['jobs', 'events', 'ftjob-1', '--follow', '--json'], { env: server.env });
  assert.deepEqual(
    follow.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: string }).id),
    ['ftevent-1', 'ftevent-2'],
  );
});

test('jobs create uploads local files and sends the given options, and nothing else', async (t) => {
  const server = await wireServer(t);
  const folder = temporaryFolder(t);
  const data = join(folder, 'train.jsonl');
  await writeFile(data, '{"text":"one"}\n');
  await writeFile(join(folder, 'training.json'), '{"max_seq_length": 512}');
  const args = [
    'jobs',
    'create',
    '--model',
    'base',
    '--data',
    data,
    '--validation',
    'file-7',
    '--epochs',
    '3',
  ];
  const more = ['--peft', '{"peft_type":"LORA","r":4}', '--training', '@training.json', '--suffix', 'demo'];
  const metadata = ['--metadata', 'owner=me', '--metadata', 'note=a=b'];
  const sweep = ['--sweep', '{"learning_rate":[1e-4,1e-3]}'];
  const ran = await runGraft([...args, ...more, ...metadata, ...sweep], { env: server.env, cwd: folder });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /Created ftjob-1; it is queued\.\nFollow it with: graft jobs watch ftjob-1/);
  assert.deepEqual(JSON.parse(server.requests.at(-1)?.body ?? ''), {
    model: 'base',
    training_file: 'file-1',
    validation_file: 'file-7',
    suffix: 'demo',
    metadata: { owner: 'me', note: 'a=b' },
    hyperparameters: { n_epochs: 3 },
    peft: { peft_type: 'LORA', r: 4 },
    training: { max_seq_length: 512 },
    sweep: { learning_rate: [1e-4, 1e-3] },
  });

  const plain = await runGraft(['jobs', 'create', '--model', 'base', '--data', 'file-7'], {
    env: server.env,
  });
  assert.equal(plain.code, 0, plain.stderr);
  assert.deepEqual(JSON.parse(server.requests.at(-1)?.body ?? ''), {
    model: 'base',
    training_file: 'file-7',
  });
});

test('a job that is refused leaves no uploaded file behind', async (t) => {
  const server = await wireServer(t);
  const data = join(temporaryFolder(t), 'train.jsonl');
  await writeFile(data, '{"text":"one"}\n');
  const args = ['jobs', 'create', '--model', 'base', '--data', data, '--suffix', 'refused-later'];
  const ran = await runGraft(args, { env: server.env });
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /Deleted file-1 again\.\ngraft: The API refuses it\./);
  assert.deepEqual(
    server.requests.map(({ method, path }) => `${method} ${path.replace(/sha256=.*/, 'sha256')}`),
    [
      'GET /fine_tuning/options?model=base',
      'GET /files?sha256',
      'POST /files',
      'POST /fine_tuning/checks',
      'POST /fine_tuning/jobs',
      'DELETE /files/file-1',
    ],
  );
});

test('a model that the service does not have is refused before anything is uploaded', async (t) => {
  const server = await wireServer(t);
  const data = join(temporaryFolder(t), 'train.jsonl');
  await writeFile(data, '{"text":"one"}\n');
  for (const verb of [['jobs', 'create'], ['estimate']]) {
    const ran = await runGraft([...verb, '--model', 'no-such-model', '--data', data], { env: server.env });
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /^graft: The model 'no-such-model' does not exist\./);
  }
  assert.ok(server.requests.every(({ method }) => method === 'GET'));
});

test('jobs create takes the usual options as flags', async (t) => {
  const server = await wireServer(t);
  const create = ['jobs', 'create', '--model', 'base', '--data', 'file-7'];
  const flags = ['--rank', '8', '--learning-rate', '2e-4', '--epochs', '3', '--max-steps', '50'];
  const ran = await runGraft([...create, '--peft-type', 'lora', ...flags], { env: server.env });
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(JSON.parse(server.requests.at(-1)?.body ?? ''), {
    model: 'base',
    training_file: 'file-7',
    hyperparameters: { n_epochs: 3 },
    peft: { peft_type: 'LORA', r: 8, lora_alpha: 64, target_modules: 'all-linear' },
    training: { learning_rate: 2e-4, max_steps: 50 },
  });
  const preferring = ['--method', 'DPO', '--beta', '0.2', '--epochs', '2'];
  const dpo = await runGraft([...create, ...preferring], { env: server.env });
  assert.equal(dpo.code, 0, dpo.stderr);
  assert.deepEqual(JSON.parse(server.requests.at(-1)?.body ?? ''), {
    model: 'base',
    training_file: 'file-7',
    method: { type: 'dpo', dpo: { hyperparameters: { n_epochs: 2 } } },
    training: { preference: { beta: 0.2 } },
  });
  const unknown = await runGraft([...create, '--peft-type', 'magic'], { env: server.env });
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /--peft-type: there is no method MAGIC, only lora, ia3\./);
});

test('models and adapters: list, get', async (t) => {
  const models = await bothWays(t, ['models', 'list']);
  assert.match(models.text, /^base +\(is one\)/m);
  assert.match(models.text, /^ft:base:team:demo:abc +base +adpt_1 v1/m);
  const adapters = await bothWays(t, ['adapters', 'list']);
  assert.match(adapters.text, /^adpt_1 +demo +base +1 /m);
  const byModel = await bothWays(t, ['adapters', 'get', 'ft:base:team:demo:abc']);
  assert.match(byModel.text, /^1 +ft:base:team:demo:abc +ftjob-1/m);
  assert.equal((byModel.json as { versions: unknown[] }).versions.length, 1);
});

test('chat: one answer, from -m or from a pipe; --json gives the whole object', async (t) => {
  const server = await wireServer(t);
  const args = ['chat', '--model', 'ft:x', '--system', 'Be brief.', '--temperature', '0'];
  const ran = await runGraft([...args, '-m', 'Grüße, Welt'], { env: server.env });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(ran.stdout, 'You said: Grüße, Welt\n');
  assert.deepEqual(JSON.parse(server.requests[0]?.body ?? ''), {
    model: 'ft:x',
    max_tokens: 512,
    temperature: 0,
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Grüße, Welt' },
    ],
    stream: true,
  });
  const piped = await runGraft([...args, '--json'], { env: server.env, stdin: 'from a pipe' });
  const answer = JSON.parse(piped.stdout) as { choices: { message: { content: string } }[] };
  assert.equal(answer.choices[0]?.message.content, 'You said: from a pipe');
  const sampled = ['--top-k', '5', '--min-p', '0.1', '--repetition-penalty', '1.1'];
  const kwargs = ['--template-kwargs', '{"enable_thinking":false}'];
  await runGraft([...args, '-m', 'Hi', ...sampled, ...kwargs], { env: server.env });
  const { top_k, min_p, repetition_penalty, chat_template_kwargs } = JSON.parse(
    server.requests.at(-1)?.body ?? '',
  );
  assert.deepEqual([top_k, min_p, repetition_penalty], [5, 0.1, 1.1]);
  assert.deepEqual(chat_template_kwargs, { enable_thinking: false });
  const tools = [{ type: 'function', function: { name: 'now' } }];
  const file = join(temporaryFolder(t), 'tools.json');
  await writeFile(file, JSON.stringify(tools));
  await runGraft([...args, '-m', 'Hi', '--tools', file, '--tool-choice', 'now'], { env: server.env });
  const asked = JSON.parse(server.requests.at(-1)?.body ?? '');
  assert.deepEqual(
    [asked.tools, asked.tool_choice],
    [tools, { type: 'function', function: { name: 'now' } }],
  );
  for (const bad of [
    ['--tool-choice', 'required'],
    ['--min-p', '2'],
    ['--repetition-penalty', '0'],
    ['--template-kwargs', '[]'],
  ])
    assert.equal((await runGraft([...args, '-m', 'Hi', ...bad], { env: server.env })).code, 2);
  const nothing = await runGraft(args, { env: server.env });
  assert.equal(nothing.code, 2);
});

test('what the API refuses is one clear line, and exit code 1', async (t) => {
  const server = await wireServer(t);
  const unknown = await runGraft(['jobs', 'get', 'ftjob-x'], { env: server.env });
  assert.equal(unknown.code, 1);
  assert.equal(unknown.stdout, '');
  assert.equal(unknown.stderr, "graft: No such fine-tuning job. `graft jobs list` shows your team's jobs.\n");

  const wrongKey = { ...server.env, GRAFT_API_KEY: 'graft_wrongwrong_secretsecretsecretsecret' };
  const denied = await runGraft(['files', 'list'], { env: wrongKey });
  assert.equal(denied.code, 1);
  assert.match(denied.stderr, /^graft: The API key is wrong or revoked\. Set GRAFT_API_KEY, or save a key/);
  assert.doesNotMatch(denied.stderr, /secretsecret/);

  const away = await runGraft(['files', 'list', '--base-url', 'http://127.0.0.1:1/v1', '--api-key', KEY], {});
  assert.equal(away.code, 1);
  assert.match(
    away.stderr,
    /^graft: Cannot reach http:\/\/127\.0\.0\.1:1\/v1: .*Start Graft with `npm start`/,
  );
});

test('names that others chose cannot move the cursor', async (t) => {
  const server = await wireServer(t);
  const list = await runGraft(['files', 'list'], { env: server.env });
  assert.match(list.stdout, /^file-2 +two\ufffd\[2J\.jsonl/m);
});

test('wrong usage is exit code 2, before any request', async (t) => {
  const server = await wireServer(t);
  const folder = temporaryFolder(t);
  const wrong: [string[], RegExp][] = [
    [['files', 'upload'], /missing required argument 'path'/],
    [['files', 'lisst'], /unknown command 'lisst'\n\(Did you mean list\?\)/],
    [['jobs', 'create', '--model', 'base'], /required option '--data <file\[:n\]>' not specified/],
    [['jobs', 'create', '--model', 'm', '--data', 'no.jsonl'], /--data: there is no file no\.jsonl/],
    [['jobs', 'create', '--model', 'm', '--data', 'file-1', '--peft', '{r:8}'], /--peft is not valid JSON/],
    [['jobs', 'create', '--model', 'm', '--data', 'file-1', '--training', '[]'], /must be a JSON object/],
    [['jobs', 'create', '--model', 'm', '--data', 'file-1', '--epochs', '1.5'], /whole number/],
    [['files', 'list', '--base-url', 'localhost:8000'], /baseUrl must be an http or https URL/],
    [['generate', '--model', 'smollm2-135m-instruct'], /Give one of --prompt, --message and --messages/],
    [
      ['train', '--model', 'no-such', '--data', 'x', '--output', 'y'],
      /--model must be an existing folder .* got no-such/,
    ],
  ];
  const runs = await Promise.all(wrong.map(([args]) => runGraft(args, { env: server.env, cwd: folder })));
  for (const [i, [args, message]] of wrong.entries()) {
    const ran = runs[i]!;
    assert.equal(ran.code, 2, `${args.join(' ')}: ${ran.stderr}`);
    assert.match(ran.stderr, message);
    assert.equal(ran.stdout, '');
  }
  assert.deepEqual(server.requests, []);
  const keyless = await runGraft(['files', 'list'], { env: { GRAFT_BASE_URL: server.env.GRAFT_BASE_URL } });
  assert.equal(keyless.code, 2);
  assert.match(keyless.stderr, /^graft: No API key for http.*run `graft login`/);
});

test('--debug adds the stack, and nothing else does', async (t) => {
  const server = await wireServer(t);
  const plain = await runGraft(['jobs', 'get', 'ftjob-x'], { env: server.env });
  assert.doesNotMatch(plain.stderr, /\n {4}at /);
  const debug = await runGraft(['jobs', 'get', 'ftjob-x', '--debug'], { env: server.env });
  assert.match(debug.stderr, /\n {4}at /);
  assert.equal(debug.code, 1);
});
