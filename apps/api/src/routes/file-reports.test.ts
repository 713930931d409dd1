import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  claimFileReport,
  finishFileReport,
  forgetFileReports,
  heartbeatFileReport,
  type ReportJob,
  releaseFileReport,
  requestFileReport,
} from '@graft/service/reports';
import { assertError } from '../testing/assert-error.ts';
import {
  type Answer,
  type ApiBench,
  type Caller,
  chatLine,
  openApiBench,
} from '../testing/open-api-bench.ts';
import { publishAdapter } from '../testing/publish-adapter.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench({ reportSweepMs: 100 });
});
after(async () => await bench?.close());

async function reportOf(team: Caller, fileId: string, query = ''): Promise<Answer> {
  for (const end = performance.now() + 60_000; ; await sleep(30)) {
    const answer = await team.send('GET', `/v1/files/${fileId}/report${query}`);
    if (answer.json?.status !== 'running') return answer;
    assert.equal(answer.headers.get('retry-after'), '1');
    assert.equal(answer.json.report, null);
    assert.ok(performance.now() < end, answer.text);
  }
}

const line = (text: string) => `${JSON.stringify({ text })}\n`;

describe('the report on a file', () => {
  test('counts lines, examples and duplicates; with a model tokens too, and shows which are trained on', async () => {
    const { acme } = bench;
    const id = await acme.upload(`${chatLine}\n\n${chatLine}\n${chatLine.replace('"b"', '"bcd"')}\n`);
    const plain = await reportOf(acme, id);
    assert.equal(plain.status, 200, plain.text);
    assert.deepEqual(
      [plain.json.object, plain.json.file_id, plain.json.model, plain.json.status, plain.json.error],
      ['file.report', id, null, 'ready', null],
    );
    assert.deepEqual(plain.json.report, {
      recognised: { kind: 'jsonl', compression: null, shape: null, columns: null },
      format: 'chat',
      lines: 4,
      examples: 3,
      bad_lines: { count: 0, listed: [] },
      unread_columns: [],
      duplicates: { count: 1, exact: true, listed: [{ line: 3, first_line: 1 }] },
      weights: { count: 0, zero: 0 },
      chats: {
        messages: [
          { role: 'user', count: 3 },
          { role: 'assistant', count: 3 },
        ],
        trained_messages: 3,
        with_tools: 0,
        split: null,
        tool_calls: 0,
        tools: [],
      },
      pairs: null,
      judgements: null,
      tokens: null,
    });
    const { json } = await reportOf(acme, id, '?model=tiny&max_seq_length=22');
    const { tokens } = json.report;
    assert.deepEqual([json.max_seq_length, tokens.max_seq_length, tokens.task], [22, 22, 'CAUSAL_LM']);
    // "user: a</s>assistant: b</s>", whose last two tokens count towards the loss.
    assert.deepEqual([tokens.total, tokens.learnt], [3 * 21 + 2, 3 * 2 + 2]);
    assert.deepEqual(tokens.too_long, { count: 1, listed: [{ line: 4, tokens: 23 }] });
    assert.deepEqual(tokens.longest[0], { line: 4, tokens: 23 });
    assert.deepEqual(tokens.by_role, [
      { role: 'template', tokens: 3 * 18, learnt: 0 },
      { role: 'user', tokens: 3, learnt: 0 },
      { role: 'assistant', tokens: 3 * 2 + 2, learnt: 3 * 2 + 2 },
    ]);
    const [first] = tokens.preview[0].sequences;
    assert.equal(
      first.tokens
        .map(({ text, learnt }: { text: string; learnt: boolean }) => (learnt ? `[${text}]` : text))
        .join(''),
      'user: a</s>assistant: [b][</s>]',
    );
    assert.equal((await reportOf(acme, id, '?model=tiny')).json.report.tokens.max_seq_length, 64);
  });

  test('is the same for the same bytes, kept, and gone with the last file of them', async () => {
    const { acme, services } = bench;
    const [one, two] = [await acme.upload(line('kept')), await acme.upload(line('kept'))];
    const first = (await reportOf(acme, one)).json;
    assert.deepEqual({ ...(await reportOf(acme, two)).json, file_id: one }, first);
    const { sha256 } = (await acme.send('GET', `/v1/files/${one}`)).json;
    const rows = async () => await services.db.fileReport.count({ where: { teamId: acme.teamId, sha256 } });
    assert.equal(await rows(), 1);
    await acme.send('DELETE', `/v1/files/${one}`);
    assert.equal(await rows(), 1);
    await acme.send('DELETE', `/v1/files/${two}`);
    assert.equal(await rows(), 0);
    assertError(await acme.send('GET', `/v1/files/${two}/report`), 404, 'file_not_found');
  });

  test('is for its team alone, and for every role of it', async () => {
    const { acme, other } = bench;
    const id = await acme.upload(line('secret'));
    const foreign = await other.send('GET', `/v1/files/${id}/report`);
    const unknown = await other.send('GET', '/v1/files/file-none/report');
    assertError(foreign, 404, 'file_not_found', 'file_id');
    assert.equal(foreign.text.replaceAll(id, '?'), unknown.text.replaceAll('file-none', '?'));
    assert.equal((await reportOf(await bench.caller(acme, 'viewer'), id)).json.status, 'ready');
    // Another team's report on the same bytes is separate.
    const own = await other.upload(line('secret'));
    await reportOf(other, own);
    assert.equal(await bench.services.db.fileReport.count({ where: { teamId: other.teamId } }), 1);
  });

  test('requests that cannot be reported have named errors', async () => {
    const { acme } = bench;
    const id = await acme.upload(line('x'));
    const get = async (query: string) => await acme.send('GET', `/v1/files/${id}/report?${query}`);
    assertError(await get('model=none'), 404, 'model_not_found', 'model');
    assertError(await get('max_seq_length=5'), 400, 'missing_required_parameter', 'model');
    assertError(await get('model=tiny&max_seq_length=0'), 400, 'invalid_value', 'max_seq_length');
    assertError(await get('modl=tiny'), 400, 'unknown_parameter', 'modl');
    const pairs = await acme.upload('{"text":"a","target":"b"}\n');
    const { json } = await reportOf(acme, pairs, '?model=tiny');
    assert.deepEqual([json.status, json.error.code, json.report], ['failed', 'unsupported_task', null]);
  });

  test('a line that takes for ever ends at the deadline, and the next report is computed', async () => {
    const slow = await openApiBench({ reportSweepMs: 50, reportTimeoutMs: 1 });
    try {
      const id = await slow.acme.upload(line('y'.repeat(100_000)).repeat(20));
      const { json } = await reportOf(slow.acme, id, '?model=tiny');
      assert.deepEqual([json.status, json.error.code], ['failed', 'report_timeout']);
    } finally {
      await slow.close();
    }
  });
});

describe('the report for a planned job', () => {
  const template =
    "{% for m in messages %}{{ m.role }}: {% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{{ closing | default('!') }}</s>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
  const user = (content: string) => ({ role: 'user', content });
  const assistant = (content: string, reasoning?: string) => ({
    role: 'assistant',
    content,
    ...(reasoning && { reasoning_content: reasoning }),
  });
  const lines = [
    [user('a'), assistant('b', 'c'), user('d'), assistant('e')],
    [user('a'), assistant('f '.repeat(30))],
    [user('a </s>'), assistant('g')],
  ]
    .map((messages) => `${JSON.stringify({ messages })}\n`)
    .join('');

  async function plannedReport(team: Caller, file: string, body: object): Promise<Answer> {
    for (const end = performance.now() + 60_000; ; await sleep(30)) {
      const answer = await team.send('POST', `/v1/files/${file}/report`, body);
      if (answer.json?.status !== 'running') return answer;
      assert.ok(performance.now() < end, answer.text);
    }
  }

  /** `data.training` of the job once its files are validated. */
  async function countsOf(team: Caller, body: object): Promise<unknown> {
    const created = await team.send('POST', '/v1/fine_tuning/jobs', body);
    assert.equal(created.status, 200, created.text);
    for (const end = performance.now() + 60_000; ; await sleep(30)) {
      const { json } = await team.send('GET', `/v1/fine_tuning/jobs/${created.json.id}`);
      if (json.status === 'queued') return json.data.training;
      assert.ok(json.status === 'validating_files' && performance.now() < end, JSON.stringify(json.error));
    }
  }

  const cases: Record<string, unknown>[] = [
    { overlong: 'truncate' },
    { overlong: 'skip', max_seq_length: 40 },
    { overlong: 'truncate', train_on: 'last_assistant' },
    { overlong: 'truncate', chat_template: template, mask_reasoning: true },
    { overlong: 'truncate', chat_template: template, chat_template_kwargs: { closing: '.' } },
  ];
  for (const training of cases)
    test(`has the job's own counts: ${Object.keys(training)}`, async () => {
      const { acme } = bench;
      const file = await acme.upload(lines);
      const job = { model: 'tiny', training };
      const { json } = await plannedReport(acme, file, job);
      assert.equal(json.status, 'ready', JSON.stringify(json));
      const counts = await countsOf(acme, { ...job, training_file: file });
      assert.deepEqual(json.report.tokens.counts, counts);
    });

  test('is kept for its options, which it names', async () => {
    const { acme } = bench;
    const file = await acme.upload(lines);
    const of = async (training: object) =>
      (await plannedReport(acme, file, { model: 'tiny', training: { overlong: 'truncate', ...training } }))
        .json;
    const learnt = async (training: object) => (await of(training)).report.tokens.learnt;
    const all = await learnt({});
    const last = await learnt({ train_on: 'last_assistant' });
    assert.ok(last < all, `${last} of ${all}`);
    assert.equal(await learnt({}), all);
    // Rates do not change what is read.
    const first = await of({});
    assert.equal((await of({ learning_rate: 0.001 })).created_at, first.created_at);
    const own = await of({ chat_template: template, chat_template_kwargs: { closing: '.' } });
    assert.deepEqual(own.job, {
      method: 'supervised',
      overlong: 'truncate',
      train_on: 'all_assistant',
      mask_reasoning: false,
      chat_template_kwargs: { closing: '.' },
      has_chat_template: true,
    });
    const plain = (await reportOf(acme, file, '?model=tiny')).json;
    assert.deepEqual([plain.job, 'counts' in plain.report.tokens], [null, false]);
  });

  test('is refused as the job is', async () => {
    const { acme, other } = bench;
    const file = await acme.upload(lines);
    const second = await acme.upload(lines);
    const send = async (body: object, team: Caller = acme) =>
      await team.send('POST', `/v1/files/${file}/report`, body);
    for (const body of [
      { model: 'none' },
      { model: 'tiny', training: { overlong: 'cut' } },
      { model: 'tiny', training: { max_seq_length: 4096 } },
      { model: 'tiny', method: { type: 'dpo' } },
    ]) {
      const job = await acme.send('POST', '/v1/fine_tuning/jobs', { ...body, training_file: file });
      assert.ok(job.status >= 400, job.text);
      const report = await send(body);
      const { request_id: _, ...fault } = report.json.error;
      const { request_id: __, ...expected } = job.json.error;
      assert.deepEqual([report.status, fault], [job.status, expected]);
    }
    assertError(await send({ model: 'tiny', training_file: second }), 400, 'invalid_value', 'training_file');
    assertError(await send({ model: 'tiny' }, other), 404, 'file_not_found', 'file_id');
    // A faulty template ends the report where it ends the job: as the fault of the team.
    const faulty = { model: 'tiny', training: { chat_template: '{% if %}' } };
    const { status, error } = (await plannedReport(acme, file, faulty)).json;
    assert.deepEqual([status, error.param], ['failed', 'training.chat_template']);
    const held = { model: 'tiny', training_file: second, validation_file: file };
    assert.equal((await plannedReport(acme, file, { ...held, training: { overlong: 'skip' } })).status, 200);
  });
});

describe('who may ask for the report for a planned job, and how often', () => {
  const reports = async (sha256?: string) =>
    await bench.services.db.fileReport.count({
      where: { teamId: bench.acme.teamId, ...(sha256 && { sha256 }) },
    });
  const digestOf = async (id: string) => (await bench.acme.send('GET', `/v1/files/${id}`)).json.sha256;

  test('a key needs the scopes of what the answer shows: of files, and of jobs', async () => {
    const { acme } = bench;
    const path = `/v1/files/${await acme.upload(line('scoped'))}/report`;
    const before = await reports();
    for (const [scope, missing] of [
      ['files:read', 'jobs:read'],
      ['jobs:read', 'files:read'],
    ] as const) {
      const key = await bench.caller(acme, 'member', { scopes: [scope] });
      const refused = await key.send('POST', path, { model: 'tiny' });
      assertError(refused, 403, 'insufficient_scope');
      assert.match(refused.text, new RegExp(`requires ${missing}`));
    }
    assert.equal(await reports(), before);
    const both = await bench.caller(acme, 'viewer', { scopes: ['files:read', 'jobs:read'] });
    assert.equal((await both.send('POST', path, { model: 'tiny' })).status, 200);
  });

  test("another team's adapter, and one that the key may not use, are not revealed", async () => {
    const { acme, other } = bench;
    const path = `/v1/files/${await acme.upload(line('start'))}/report`;
    const { version: theirs } = await publishAdapter(bench, other, 'theirs');
    const { version: own } = await publishAdapter(bench, acme, 'own');
    const before = await reports();
    for (const body of [
      (start: string) => ({ model: start }),
      (start: string) => ({ model: 'tiny', start_from: start }),
    ]) {
      const [foreign, unknown] = await Promise.all(
        [theirs.modelName, 'ft:tiny:other:none:1'].map(async (name) => {
          const { status, text } = await acme.send('POST', path, body(name));
          return [status, text.replaceAll(name, '?').replace(/"request_id":"[^"]*"/, '')];
        }),
      );
      assert.deepEqual(foreign, unknown);
      assert.ok(Number(foreign![0]) >= 400);
      const limited = await bench.caller(acme, 'member', { models: ['ft:tiny:acme:another:*', 'tiny'] });
      assertError(await limited.send('POST', path, body(own.modelName)), 403, 'model_not_allowed');
    }
    assert.equal(await reports(), before);
    assert.equal((await acme.send('POST', path, { model: own.modelName })).status, 200);
  });

  test('a malformed body starts nothing', async () => {
    const { acme } = bench;
    const path = `/v1/files/${await acme.upload(line('malformed'))}/report`;
    const before = await reports();
    for (const body of [
      {},
      [],
      { model: 7 },
      { model: 'tiny', suffix: 'a' },
      { model: 'tiny', training: [] },
      { model: 'tiny', training: { chat_template: '\0' } },
      { model: 'tiny', training: { chat_template_kwargs: { a: '\0' } } },
      { model: 'tiny', training: { chat_template_kwargs: { messages: [] } } },
      { model: 'tiny', peft: { peft_type: 'LORA', r: 'x' } },
    ]) {
      const { status, text } = await acme.send('POST', path, body);
      assert.ok(status === 400, `${JSON.stringify(body)}: ${text}`);
    }
    assert.equal(await reports(), before);
  });

  test('many requests at once, and another rank, share one report', async () => {
    const { acme } = bench;
    const file = await acme.upload(line('at once'));
    const answers = await Promise.all(
      [1, 2, 4, 8, 8, 8].map(
        async (r) =>
          await acme.send('POST', `/v1/files/${file}/report`, {
            model: 'tiny',
            peft: { peft_type: 'LORA', r },
          }),
      ),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(await reports(await digestOf(file)), 1);
  });
});

describe('reports as leased work', () => {
  const about = (text: string) => ({ sha256: text.padEnd(64, '.'), model: null, maxSeqLength: null });
  let services: ApiBench['services'];
  let stopped: ApiBench;
  before(async () => {
    // This bench's reporter is closed, so it claims none of these.
    stopped = await openApiBench();
    await stopped.app.close();
    services = stopped.services;
  });
  after(async () => await stopped?.close().catch(() => {}));
  const claim = async (leaseSeconds = 5) => await claimFileReport(services, { leaseSeconds });

  test('one of a team at a time, teams by turns, also when many claim at once', async () => {
    const { acme, other } = stopped;
    for (const n of [1, 2, 3]) await requestFileReport(services, acme.teamId, about(`a${n}`));
    await requestFileReport(services, other.teamId, about('b1'));
    const claimed = await Promise.all(Array.from({ length: 6 }, () => claim()));
    const teams = claimed.flatMap((report) => report?.teamId ?? []);
    assert.deepEqual(teams.sort(), [acme.teamId, other.teamId].sort());
    for (const report of claimed)
      if (report) await finishFileReport(services, report.lease, { result: {} as never });
    await requestFileReport(services, other.teamId, about('b2'));
    const order: string[] = [];
    for (let next = await claim(); next; next = await claim()) {
      order.push(next.sha256.slice(0, 2));
      await finishFileReport(services, next.lease, { result: {} as never });
    }
    assert.equal(order.length, 3);
    assert.ok(order.indexOf('b2') < 2, `the other team came after all of the first: ${order}`);
  });

  test('a lost one is continued by another process, whose predecessor is fenced; the third loss fails it', async () => {
    const { teamId } = stopped.acme;
    await requestFileReport(services, teamId, about('lost'));
    const first = (await claim(0.01))!;
    await sleep(30);
    const second = (await claim(0.01))!;
    assert.equal(second.key, first.key);
    assert.equal(await finishFileReport(services, first.lease, { result: {} as never }), false);
    assert.equal(
      await heartbeatFileReport(services, first.lease, { leaseSeconds: 60, progress: null }),
      false,
    );
    await sleep(30);
    await claim(0.01);
    await sleep(30);
    assert.equal(await claim(), null);
    const failed = await requestFileReport(services, teamId, about('lost'));
    assert.deepEqual([failed.status, failed.error?.code], ['failed', 'report_failed']);
    // May be retried after a while.
    await services.db.fileReport.updateMany({
      where: { teamId, key: failed.key },
      data: { finishedAt: new Date(Date.now() - 60_000) },
    });
    assert.equal((await requestFileReport(services, teamId, about('lost'))).status, 'running');
  });

  const planned = (name: string) =>
    ({
      peft: { peft_type: 'LORA', task_type: 'CAUSAL_LM', target_modules: [name] },
      method: 'supervised',
      templateKwargs: { name },
      chatTemplate: null,
    }) as unknown as ReportJob;

  test('a process of an earlier version does not claim the report for a job; one that is cut off loses it', async () => {
    const { teamId } = stopped.acme;
    for (let next = await claim(); next; next = await claim())
      await finishFileReport(stopped.services, next.lease, { result: {} as never });
    const { services } = stopped;
    const { key, status } = await requestFileReport(services, teamId, { ...about('job'), job: planned('a') });
    assert.equal(status, 'running');
    // The condition of that version's claim.
    const old = { status: 'running', OR: [{ leaseUntil: null }, { leaseUntil: { lt: new Date() } }] };
    assert.equal(await services.db.fileReport.count({ where: { teamId, ...old } }), 0);
    const cut = (await claim(0.01))!;
    assert.deepEqual([cut.key, cut.job], [key, planned('a')]);
    assert.equal(
      await heartbeatFileReport(services, cut.lease, { leaseSeconds: 0.01, progress: null }),
      true,
    );
    await sleep(30);
    const next = (await claim())!;
    assert.equal(next.key, key);
    await releaseFileReport(services, next.lease);
    const last = (await claim())!;
    assert.equal(await finishFileReport(services, cut.lease, { result: {} as never }), false);
    assert.equal(await finishFileReport(services, last.lease, { result: {} as never }), true);
    const again = { ...about('job'), job: planned('a') };
    assert.equal((await requestFileReport(services, teamId, again)).status, 'ready');
  });

  test('the reports of one file for jobs, and the size of their options, are bounded', async () => {
    const { teamId } = stopped.acme;
    const { services } = stopped;
    const { sha256 } = about('often');
    const plain = await requestFileReport(services, teamId, about('often'));
    for (let i = 0; i < 14; i++) {
      await requestFileReport(services, teamId, { ...about('often'), job: planned(`n${i}`) });
      const done = { status: 'ready', finishedAt: new Date(Date.now() + i) };
      await services.db.fileReport.updateMany({ where: { teamId, sha256 }, data: done });
    }
    const kept = await services.db.fileReport.findMany({ where: { teamId, sha256 } });
    assert.equal(kept.length, 1 + 11);
    assert.ok(kept.some(({ key }) => key === plain.key));
    await assert.rejects(
      requestFileReport(services, teamId, { ...about('often'), job: planned('n'.repeat(100_000)) }),
      { code: 'invalid_value' },
    );
  });

  test('the limits of waiting reports per team and of stored reports are exact', async () => {
    const { teamId } = stopped.other;
    const asked = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) => requestFileReport(services, teamId, about(`c${i}`))),
    );
    const refused = asked.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    assert.equal(refused.length, 14);
    assert.equal(refused[0]!.reason.code, 'too_many_reports');
    const done = { status: 'ready', finishedAt: new Date() };
    const old = Array.from({ length: 120 }, (_, i) => ({ teamId, key: `old ${i}`, sha256: 'x', ...done }));
    await services.db.fileReport.createMany({ data: old });
    await services.db.fileReport.updateMany({ where: { teamId, status: 'running' }, data: done });
    await requestFileReport(services, teamId, about('d'));
    assert.ok((await services.db.fileReport.count({ where: { teamId } })) <= 52);
  });
});

test('what is a week old or has lost its file is forgotten', async () => {
  const { acme, services } = bench;
  const { teamId } = acme;
  const [old, kept] = [await acme.upload(line('old')), await acme.upload(line('new'))];
  for (const id of [old, kept]) await reportOf(acme, id);
  const digestOf = async (id: string) => (await acme.send('GET', `/v1/files/${id}`)).json.sha256;
  const sha256 = await digestOf(old);
  const finishedAt = new Date(Date.now() - 8 * 24 * 3600 * 1000);
  await services.db.fileReport.updateMany({ where: { teamId, sha256 }, data: { finishedAt } });
  // Left by the deletion of a file with the same bytes at the same time.
  await services.db.fileReport.create({ data: { teamId, key: 'lost', sha256: 'none', status: 'ready' } });
  assert.equal(await forgetFileReports(services), 2);
  assert.equal(await services.db.fileReport.count({ where: { teamId, sha256: await digestOf(kept) } }), 1);
});

test('a process that is closed in the midst of a report leaves it to the next one', async () => {
  const { acme, services } = bench;
  const id = await acme.upload(line('z'.repeat(2000)).repeat(3000));
  await acme.send('GET', `/v1/files/${id}/report?model=tiny`);
  await sleep(50);
  await bench.app.close();
  const { status, leaseUntil, attempts } = await services.db.fileReport.findFirstOrThrow({
    where: { teamId: acme.teamId, model: 'tiny' },
    orderBy: { createdAt: 'desc' },
  });
  if (status === 'running') assert.deepEqual([leaseUntil, attempts], [null, 0]);
});
