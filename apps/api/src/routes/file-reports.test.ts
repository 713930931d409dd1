import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  claimFileReport,
  finishFileReport,
  forgetFileReports,
  heartbeatFileReport,
  requestFileReport,
} from '@graft/service';
import { assertError } from '../testing/assert-error.ts';
import {
  type Answer,
  type ApiBench,
  type Caller,
  chatLine,
  openApiBench,
} from '../testing/open-api-bench.ts';

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
  const claim = async (leaseSeconds = 60) => await claimFileReport(services, { leaseSeconds });

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
