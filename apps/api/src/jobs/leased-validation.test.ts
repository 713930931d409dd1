// Validations that take longer than a lease, of several teams, and in processes that die.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeTinyModel } from '@graft/peft-core/testing';
import { getFile } from '@graft/service/files';
import { openServices } from '@graft/service/services';
import { openCuttableProxy } from '@graft/service/testing';
import { jobsPath as path } from '../testing/job-requests.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { startJobValidator } from './job-validator.ts';
import { createOptionChecker } from './option-checker.ts';

/** Makes each line take 10 to 60 ms, to imitate a much larger file. */
const slowTemplate =
  '{% for i in range(12000) %}{% endfor %}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}';
/** Long enough for a busy machine to renew it in time. */
const leaseSeconds = 2;

const estimates = {
  estimateTimeoutMs: 30_000,
  validationTimeoutMs: { base: 600_000, perMegabyte: 10_000 },
  refuseUnfitJobs: true,
};

let folder: string;
let bench: ApiBench;
let env: NodeJS.ProcessEnv;
const checker = createOptionChecker(60_000, { heapMb: 256 });
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-leased-'));
  await writeTinyModel(join(folder, 'tiny'));
  await writeTinyModel(join(folder, 'slow'));
  await writeFile(join(folder, 'slow', 'chat_template.jinja'), slowTemplate);
  const models = join(folder, 'base-models.json');
  await writeFile(models, JSON.stringify({ tiny: { folder: 'tiny' }, slow: { folder: 'slow' } }));
  env = {
    GRAFT_BASE_MODELS: models,
    GRAFT_LEASE_SECONDS: String(leaseSeconds),
    GRAFT_HEARTBEAT_SECONDS: '0.4',
    GRAFT_VALIDATION_THREADS: '2',
  };
  bench = await openApiBench({}, env);
});
after(async () => {
  await bench?.close();
  await checker.close();
  await rm(folder, { recursive: true, force: true });
});

let written = 0;
/** Lines of a unique file, so that no cached result applies. 2 kB per line, so that the file is read in several pieces. */
const lines = (count: number) =>
  Array.from({ length: count }, () =>
    JSON.stringify({ ...JSON.parse(chatLine), number: written++, more: 'x'.repeat(2000) }),
  ).join('\n');

async function create(team: Caller, model: string, file: string): Promise<string> {
  const answer = await team.send('POST', path, { model, training_file: file });
  assert.equal(answer.status, 200, answer.text);
  return answer.json.id;
}

interface Attempt {
  outcome: string | null;
  reason: string | null;
  seconds: number;
}

async function attemptsOf(job: string, of = bench): Promise<Attempt[]> {
  const { rows } = await of.services.sql.query<Attempt>(
    `SELECT outcome, reason, extract(epoch FROM ended_at - started_at)::float8 AS seconds FROM job_attempts
     WHERE job_id = $1 AND kind = 'validation' ORDER BY lease_epoch`,
    [job],
  );
  return rows;
}

async function until(what: string, holds: () => Promise<boolean>, seconds = 120): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(40);
  }
}

const isUnderWay =
  (job: string, of = bench) =>
  async () =>
    (await attemptsOf(job, of)).some(({ outcome }) => outcome === null);

async function show(job: string, team = bench.acme) {
  return (await team.send('GET', `${path}/${job}`)).json;
}

test('a file that takes longer than three leases is validated once, while others look for work, and shows its progress', async () => {
  const second = startJobValidator(bench.services, checker, { ...estimates, sweepMs: 50 });
  try {
    // How many lines take three leases depends on the machine.
    for (let count = 192; ; count *= 2) {
      const job = await create(bench.acme, 'slow', await bench.acme.upload(lines(count)));
      const shown = new Set<number>();
      await until('the end', async () => {
        const { status, validation } = await show(job);
        if (status !== 'validating_files') return status === 'queued' && validation === null;
        if (validation) shown.add(validation.bytes / validation.total_bytes);
        return false;
      });
      const attempts = await attemptsOf(job);
      assert.deepEqual(
        attempts.map(({ outcome }) => outcome),
        ['succeeded'],
      );
      if (attempts[0]!.seconds <= 3 * leaseSeconds) continue;
      const between = [...shown].filter((part) => part > 0 && part < 1);
      assert.ok(between.length >= 2, `showed ${[...shown]}`);
      break;
    }
  } finally {
    await second.close();
  }
});

test("a team's large files do not hold back another's small one; cancelled ones stop at once", async () => {
  const giants: string[] = [];
  for (let i = 0; i < 4; i++)
    giants.push(await create(bench.acme, 'slow', await bench.acme.upload(lines(4000))));
  await until('the first large file', isUnderWay(giants[0]!));
  const small = await create(bench.other, 'tiny', await bench.other.upload(lines(1)));
  await bench.untilState(small, 'queued');
  const states = await Promise.all(giants.map(async (job) => (await attemptsOf(job)).length));
  assert.deepEqual(states, [1, 0, 0, 0]);

  const start = performance.now();
  for (const job of giants)
    assert.equal((await bench.acme.send('POST', `${path}/${job}/cancel`)).json.status, 'cancelled');
  // Its thread must be free, or the team's next file would wait for minutes.
  const next = await create(bench.acme, 'tiny', await bench.acme.upload(lines(1)));
  await bench.untilState(next, 'queued');
  assert.ok(performance.now() - start < 20_000);
  assert.deepEqual(
    (await attemptsOf(giants[0]!)).map(({ outcome }) => outcome),
    ['cancelled'],
  );
});

test('a second job on the same data is validated without reading the file, in its team alone', async () => {
  const content = lines(2);
  const bad = `${content}\n{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"${'b '.repeat(400)}"}]}`;
  for (const [text, state] of [
    [content, 'queued'],
    [bad, 'failed'],
  ] as const) {
    const file = await bench.acme.upload(text);
    const [first, again] = [await create(bench.acme, 'tiny', file), await bench.acme.upload(text)];
    await bench.untilState(first, state);
    // Without its bytes the file cannot be read again.
    const stored = await getFile(bench.services, bench.acme.teamId, again);
    await rm(await bench.services.files.localPath(stored!, first));
    const second = await create(bench.acme, 'tiny', again);
    await bench.untilState(second, state);
    const [one, two] = [await show(first), await show(second)];
    assert.deepEqual(two.error, one.error);
    assert.deepEqual(two.training.max_seq_length, one.training.max_seq_length);
    // Other options have another key.
    const shorter = await bench.acme.send('POST', path, {
      model: 'tiny',
      training_file: again,
      training: { max_seq_length: 32 },
    });
    await bench.untilState(shorter.json.id, 'failed');
    assert.equal((await show(shorter.json.id)).error.fault, 'system');
  }
  const { rows } = await bench.services.sql.query(
    'SELECT team_id, count(*)::int AS results FROM validation_results GROUP BY 1',
  );
  assert.ok(rows.every(({ team_id }) => team_id === bench.acme.teamId || team_id === bench.other.teamId));
  const foreign = await create(bench.other, 'tiny', await bench.other.upload(content));
  await bench.untilState(foreign, 'queued');
  const own = await bench.services.sql.query('SELECT 1 FROM validation_results WHERE team_id = $1', [
    bench.other.teamId,
  ]);
  assert.equal(
    own.rows.length,
    (rows.find(({ team_id }) => team_id === bench.other.teamId)?.results ?? 0) + 1,
  );
});

test('over-long examples are cut or left out where a job asks for it, and it counts them', async () => {
  const long = JSON.stringify({ text: 'b '.repeat(400) });
  const marked = JSON.stringify({ prompt: 'x', completion: 'y</s>' });
  const create = async (text: string, training: object) => {
    const file = await bench.acme.upload(text);
    const { json } = await bench.acme.send('POST', path, { model: 'tiny', training_file: file, training });
    return json.id as string;
  };
  const data = async (id: string) => {
    await bench.untilState(id, 'queued');
    const events = (await bench.acme.send('GET', `${path}/${id}/events`)).json.data as { message: string }[];
    const remarks = events.map(({ message }) => message).filter((each) => /max_seq|special/.test(each));
    return [(await show(id)).data.training, remarks];
  };
  const texts = `${JSON.stringify({ text: 'abc' })}\n${long}\n${long}`;
  assert.deepEqual(await data(await create(texts, { overlong: 'truncate' })), [
    { examples: 3, truncated: 2, skipped: 0, special_tokens: 0 },
    ['2 examples are cut to max_seq_length, 256 tokens'],
  ]);
  const skipped = [
    { examples: 1, truncated: 0, skipped: 2, special_tokens: 0 },
    ['2 examples are left out: longer than max_seq_length, 256 tokens'],
  ];
  assert.deepEqual(await data(await create(texts, { overlong: 'skip' })), skipped);
  // From the cached result.
  assert.deepEqual(await data(await create(texts, { overlong: 'skip' })), skipped);
  assert.deepEqual(await data(await create(marked, {})), [
    { examples: 1, truncated: 0, skipped: 0, special_tokens: 1 },
    ['1 special token in the content of examples: plain text, unless training.allow_special_tokens is true'],
  ]);
  const [, remarks] = await data(await create(marked, { allow_special_tokens: true }));
  assert.deepEqual(remarks, []);
  const nothing = await create(long, { overlong: 'skip' });
  await bench.untilState(nothing, 'failed');
  assert.match(
    (await show(nothing)).error.message,
    /^every example is longer than max_seq_length, 256 tokens/,
  );
});

test('variables of the chat template are kept with the job, as they were given', async () => {
  const training_file = await bench.acme.upload(chatLine);
  const create = async (training: object) =>
    await bench.acme.send('POST', path, { model: 'tiny', training_file, training });
  const chat_template_kwargs = { enable_thinking: false, names: ['a', { b: null }] };
  const { json } = await create({ chat_template_kwargs });
  await bench.untilState(json.id, 'queued');
  assert.deepEqual((await show(json.id)).training.chat_template_kwargs, chat_template_kwargs);
  const plain = await create({});
  await bench.untilState(plain.json.id, 'queued');
  assert.equal('chat_template_kwargs' in (await show(plain.json.id)).training, false);
  const { status, json: refused } = await create({ chat_template_kwargs: { messages: [] } });
  assert.deepEqual([status, refused.error.param], [400, 'training.chat_template_kwargs']);
});

test('the length is that of the longest example, and long texts are split, which the job counts', async () => {
  const fixed = async (text: string, training: object = {}, more: object = {}) => {
    const training_file = await bench.acme.upload(text);
    const { json } = await bench.acme.send('POST', path, { model: 'tiny', training_file, training, ...more });
    await bench.untilState(json.id, 'queued');
    return await show(json.id);
  };
  const asked = (length: number) => JSON.stringify({ prompt: 'a', completion: 'x'.repeat(length) });
  const short = await fixed(`${asked(4)}\n${asked(20)}`);
  assert.deepEqual([short.data.longest, short.training.max_seq_length], [22, 24]);
  assert.match(short.training_reasons.max_seq_length, /^the longest example/);
  const held = await bench.acme.upload(asked(60));
  const longer = await fixed(asked(4), {}, { validation_file: held });
  assert.deepEqual([longer.data.longest, longer.training.max_seq_length], [62, 64]);
  const soft = { peft: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 9 } };
  assert.equal((await fixed(asked(20), {}, soft)).training.max_seq_length, 32);

  // 601 tokens in one line, split into pieces of the model's 256. Each piece repeats one token of the previous one.
  const book = JSON.stringify({ text: 'x'.repeat(600) });
  const split = await fixed(`${book}\n${JSON.stringify({ text: 'x' })}`);
  assert.deepEqual([split.training.max_seq_length, split.training.text_stride], [256, 0]);
  assert.deepEqual([split.data.training.examples, split.data.longest], [4, 256]);
  // Chosen for the pieces, not for the lines.
  assert.equal(split.training.batch_size, 4);
  const repeated = await fixed(book, { max_seq_length: 64, text_stride: 32 });
  assert.equal(repeated.data.training.examples, 18);
});

test('validation examples that are also training examples are counted in the job and reported in a warning', async () => {
  const chat = (question: string, answer: string) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: question },
        { role: 'assistant', content: answer },
      ],
    });
  const training = await bench.acme.upload([chat('1', 'a'), chat('2', 'b'), chat('3', 'c')].join('\n'));
  const held = await bench.acme.upload([chat('1', 'a'), chat('2', 'other'), chat('4', 'd')].join('\n'));
  const created = async (files: object) => {
    const { json } = await bench.acme.send('POST', path, { model: 'tiny', ...files });
    await bench.untilState(json.id, 'queued');
    const events = (await bench.acme.send('GET', `${path}/${json.id}/events`)).json.data as {
      level: string;
      message: string;
    }[];
    const warnings = events.filter(({ level }) => level === 'warn').map(({ message }) => message);
    return [(await show(json.id)).data.overlap, warnings];
  };
  const expected = [
    { prompts: 2, identical: 1, exact: true },
    [
      '2 of 3 validation examples have the prompt of a training example, 1 of them word for word the same example: the validation loss looks better than it is',
    ],
  ];
  assert.deepEqual(await created({ training_file: training, validation_file: held }), expected);
  // From the cached result.
  assert.deepEqual(await created({ training_file: training, validation_file: held }), expected);
  assert.deepEqual(await created({ training_file: training }), [null, []]);
});

test('a process that is killed while it validates is followed by another after one lease', async () => {
  // The bench's validator searches for work only at its start, so the child gets the job.
  const quiet = await openApiBench({ validationSweepMs: 3_600_000 }, env);
  const { databaseUrl, dataDir, cacheDir, redisUrl } = quiet.services.env;
  const child = fork(new URL('../main.ts', import.meta.url), {
    execArgv: process.execArgv,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: {
      ...process.env,
      ...env,
      PORT: '0',
      DATABASE_URL: databaseUrl,
      GRAFT_DATA_DIR: dataDir,
      GRAFT_CACHE_DIR: cacheDir,
      ...(redisUrl ? { REDIS_URL: redisUrl } : {}),
    },
  });
  const [{ address }] = await once(child, 'message');
  const file = await quiet.acme.upload(lines(24));
  const answer = await fetch(`${address}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${quiet.acme.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'slow', training_file: file }),
  });
  const { id } = (await answer.json()) as { id: string };
  await until('the child validates', isUnderWay(id, quiet));
  child.kill('SIGKILL');
  const killed = performance.now();
  const other = startJobValidator(quiet.services, checker, { ...estimates, sweepMs: 50 });
  try {
    await until('another attempt', async () => (await attemptsOf(id, quiet)).length === 2);
    const seconds = (performance.now() - killed) / 1000;
    assert.ok(seconds < 20, `taken over after ${seconds} s`);
    await quiet.untilState(id, 'queued');
  } finally {
    await other.close();
  }
  const attempts = await attemptsOf(id, quiet);
  assert.deepEqual(
    attempts.map(({ outcome }) => outcome),
    ['lost', 'succeeded'],
  );
  await quiet.close();
});

test('Postgres away while a file is read is a pause, not a fault', async () => {
  const proxy = await openCuttableProxy(bench.services.env.databaseUrl!);
  const services = await openServices({
    role: 'api',
    env: { ...bench.services.env, databaseUrl: proxy.url },
    log: bench.services.log,
  });
  // Keeps the bench's validator busy with another file of this team.
  const busy = await create(bench.acme, 'slow', await bench.acme.upload(lines(4000)));
  await until('the large file', isUnderWay(busy));
  const validator = startJobValidator(services, checker, { ...estimates, sweepMs: 50 });
  try {
    const file = await bench.acme.upload(lines(24));
    const job = await create(bench.acme, 'slow', file);
    await until('it is read', isUnderWay(job));
    await proxy.cut();
    await sleep(500);
    await proxy.restore();
    await bench.untilState(job, 'queued');
    const faults = await bench.services.sql.query(
      "SELECT message FROM job_events WHERE job_id = $1 AND level = 'error'",
      [job],
    );
    assert.deepEqual(faults.rows, []);
    assert.equal((await attemptsOf(busy))[0]?.outcome, null);
  } finally {
    await bench.acme.send('POST', `${path}/${busy}/cancel`);
    await validator.close();
    await services.close();
    await proxy.close();
  }
});
