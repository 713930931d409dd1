import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkUsage, watchBudgets } from '@graft/service/usage';
import { assertError } from '../../testing/assert-error.ts';
import { type Answer, type ApiBench, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { done, type ScriptedWorker, says, startScriptedWorker } from '../../testing/scripted-worker.ts';

let bench: ApiBench;
let worker: ScriptedWorker;
before(async () => {
  bench = await openApiBench({ validationSweepMs: 3_600_000 });
  worker = await startScriptedWorker(bench.services, 'w1', says(done()));
});
after(async () => {
  await worker?.close();
  await bench?.close();
});
afterEach(() => {
  worker.answer = says(done());
});

const day = 24 * 3600;
const today = Math.floor(Date.now() / 1000 / day) * day;

/** Inserts entries of earlier days, as transitions would have written them. */
async function enter(
  team: string,
  daysAgo: number,
  kind: string,
  quantity: number,
  more: object = {},
): Promise<void> {
  const {
    key_id = null,
    model = null,
    base_model = model,
    job_id = null,
  } = more as Record<string, string | null>;
  await bench.services.sql.query(
    `INSERT INTO usage_ledger (team_id, at, kind, quantity, subject, key_id, model, base_model, job_id)
     VALUES ($1, to_timestamp($2), $3, $4, 'x', $5, $6, $7, $8)`,
    [team, today - daysAgo * day + 3600, kind, quantity, key_id, model, base_model, job_id],
  );
}

async function untilEntered(teamId: string, kind: string, least: number): Promise<number> {
  for (let i = 0; ; i++) {
    const { rows } = await bench.services.sql.query<{ sum: number }>(
      'SELECT coalesce(sum(quantity), 0)::float8 AS sum FROM usage_ledger WHERE team_id = $1 AND kind = $2',
      [teamId, kind],
    );
    if (rows[0]!.sum >= least) return rows[0]!.sum;
    assert.ok(i < 300, `waited in vain for ${kind}: ${rows[0]!.sum}`);
    await sleep(100);
  }
}

describe('usage', () => {
  test('is reported by day and group, only for the own team, with the prices of that time', async () => {
    const { acme, other } = bench;
    const operator = await bench.operator();
    const price = async (body: object) => {
      const set = await operator.send('POST', '/v1/admin/prices', body);
      assert.equal(set.status, 200, set.text);
      return set.json;
    };
    await price({ kind: 'trained_tokens', price: 2, valid_from: today - 9 * day });
    await price({ kind: 'trained_tokens', price: 4, valid_from: today - 2 * day });
    await price({ kind: 'trained_tokens', model: 'tiny', price: 10, valid_from: today - day });
    await enter(acme.teamId, 3, 'trained_tokens', 1_500_000, { model: 'tiny', key_id: 'k1', job_id: 'j1' });
    await enter(acme.teamId, 2, 'trained_tokens', 500_000, { model: 'tiny', key_id: 'k1', job_id: 'j1' });
    await enter(acme.teamId, 1, 'trained_tokens', 100_000, { model: 'tiny', key_id: 'k2', job_id: 'j2' });
    await enter(acme.teamId, 1, 'trained_tokens', 100_000, { model: 'big', key_id: 'k2', job_id: 'j3' });
    await enter(acme.teamId, 1, 'device_seconds', 1.5, { model: 'big', job_id: 'j3' });
    await enter(other.teamId, 1, 'trained_tokens', 7, { model: 'tiny' });
    const range = `start_time=${today - 3 * day}&end_time=${today}`;

    const plain = await acme.send('GET', `/v1/usage?${range}`);
    assert.equal(plain.status, 200, plain.text);
    assert.deepEqual(
      plain.json.data.map(
        (bucket: { start_time: number; results: { trained_tokens: number; cost: number }[] }) => [
          (bucket.start_time - today) / day,
          ...bucket.results.map(({ trained_tokens, cost }) => [trained_tokens, cost]),
        ],
      ),
      [
        [-3, [1_500_000, 3]],
        [-2, [500_000, 2]],
        [-1, [200_000, 1.4]],
      ],
    );
    assert.equal(plain.json.has_more, false);
    const byModel = await acme.send(
      'GET',
      `/v1/usage?start_time=${today - day}&end_time=${today}&group_by=model,kind`,
    );
    assert.deepEqual(
      byModel.json.data[0].results.map((r: Record<string, unknown>) => [
        r.model,
        r.kind,
        r.trained_tokens,
        r.device_seconds,
      ]),
      [
        ['big', 'device_seconds', 0, 1.5],
        ['big', 'trained_tokens', 100_000, 0],
        ['tiny', 'trained_tokens', 100_000, 0],
      ],
    );
    for (const [group, field, values] of [
      ['api_key_id', 'api_key_id', [null, 'k2']],
      ['job_id', 'job_id', ['j2', 'j3']],
    ] as const) {
      const answer = await acme.send(
        'GET',
        `/v1/usage?start_time=${today - day}&end_time=${today}&group_by=${group}`,
      );
      assert.deepEqual(
        answer.json.data[0].results.map((r: Record<string, unknown>) => r[field]),
        values,
      );
    }

    // The pages together have the same days.
    const days: unknown[] = [];
    for (let page: string | null = ''; page !== null; ) {
      const answer: Answer = await acme.send('GET', `/v1/usage?${range}&limit=1${page && `&page=${page}`}`);
      assert.equal(answer.json.data.length, 1);
      days.push(...answer.json.data);
      page = answer.json.next_page;
    }
    assert.deepEqual(days, plain.json.data);

    const csv = await acme.send('GET', `/v1/usage?${range}&group_by=model`, undefined, {
      accept: 'text/csv',
    });
    assert.match(csv.headers.get('content-type')!, /^text\/csv/);
    const lines = csv.text.trimEnd().split('\r\n');
    assert.match(lines[0]!, /^date,team_id,model,api_key_id,job_id,kind,trained_tokens,/);
    assert.deepEqual(
      lines.slice(1).map((line) => line.split(',').filter((_, i) => i === 2 || i === 6)),
      [
        ['tiny', '1500000'],
        ['tiny', '500000'],
        ['big', '100000'],
        ['tiny', '100000'],
      ],
    );
    const theirs = await other.send('GET', `/v1/usage?${range}&format=csv`);
    assert.match(theirs.text, /,7,0,/);
    assert.ok(!theirs.text.includes('1500000'));

    const all = await operator.send('GET', `/v1/admin/usage?start_time=${today - day}&end_time=${today}`);
    assert.deepEqual(
      new Map(all.json.data[0].results.map((r: Record<string, unknown>) => [r.team_id, r.trained_tokens])),
      new Map([
        [acme.teamId, 200_000],
        [other.teamId, 7],
      ]),
    );
    const one = await operator.send('GET', `/v1/admin/usage?${range}&team_id=${other.teamId}&group_by=model`);
    assert.equal(one.json.data.flatMap(({ results }: { results: [] }) => results).length, 1);
  });

  test('requires a bounded range, existing groups, a cursor of the same query, and a role and scope', async () => {
    const { acme } = bench;
    const bad: [string, string, string][] = [
      ['', 'missing_required_parameter', 'start_time'],
      [`start_time=${today - 400 * day}`, 'invalid_value', 'start_time'],
      [`start_time=${today}&end_time=${today - 1}`, 'invalid_value', 'end_time'],
      [`start_time=${today}&group_by=team`, 'invalid_value', 'group_by'],
      [`start_time=${today}&limit=32`, 'invalid_value', 'limit'],
      [`start_time=${today}&page=xyz`, 'invalid_cursor', 'page'],
      [
        `start_time=${today}&page=${Buffer.from(JSON.stringify([0, null])).toString('base64url')}`,
        'invalid_cursor',
        'page',
      ],
      [
        `start_time=${today}&group_by=model&page=${Buffer.from(`[${today},["a","b"]]`).toString('base64url')}`,
        'invalid_cursor',
        'page',
      ],
    ];
    for (const [query, code, param] of bad)
      assertError(await acme.send('GET', `/v1/usage?${query}`), 400, code, param);
    const limited = await bench.caller(acme, 'member', { scopes: ['files:read'] });
    assertError(await limited.send('GET', `/v1/usage?start_time=${today}`), 403, 'insufficient_scope');
    const viewer = await bench.caller(acme, 'viewer');
    assert.equal((await viewer.send('GET', `/v1/usage?start_time=${today}`)).status, 200);
    for (const [method, path] of [
      ['GET', `/v1/admin/usage?start_time=${today}`],
      ['GET', '/v1/admin/prices'],
      ['POST', '/v1/admin/prices'],
      ['POST', `/v1/admin/teams/${acme.teamId}/budget`],
    ] as const)
      assertError(await acme.send(method, path), 403, 'operator_required');
    const operator = await bench.operator();
    assertError(await operator.send('GET', `/v1/usage?start_time=${today}`), 403, 'team_key_required');
    assertError(
      await operator.send('GET', `/v1/admin/usage?start_time=${today}&group_by=job_id`),
      400,
      'invalid_value',
    );
  });
});

describe('completions', () => {
  const complete = (body: object = {}) =>
    bench.acme.send('POST', '/v1/completions', { model: 'tiny', prompt: 'x', max_tokens: 5, ...body });
  const sums = async () => [
    await untilEntered(bench.acme.teamId, 'input_tokens', 0),
    await untilEntered(bench.acme.teamId, 'output_tokens', 0),
  ];

  test('are recorded before their end is sent: the prompt once, the answer of each choice', async () => {
    const [input, output] = await sums();
    const answer = await complete({ n: 2 });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(await sums(), [input! + 5, output! + 4]);
    const { rows } = await bench.services.sql.query(
      `SELECT kind, subject, model, base_model, key_id IS NOT NULL AS has_key FROM usage_ledger WHERE subject = $1 ORDER BY kind`,
      [answer.json.id],
    );
    const of = { subject: answer.json.id, model: 'tiny', base_model: 'tiny', has_key: true };
    assert.deepEqual(rows, [
      { kind: 'input_tokens', ...of },
      { kind: 'output_tokens', ...of },
    ]);
    const streamed = await complete({ stream: true });
    assert.match(streamed.text, /\[DONE\]/);
    assert.deepEqual(await sums(), [input! + 10, output! + 6]);
  });

  test('that are cut off, by their worker or their client, count what had come', async () => {
    const [input, output] = await sums();
    const begun = (text: string, n: number) =>
      `${JSON.stringify({ type: 'token', text, prompt_tokens: 9, completion_tokens: n })}\n`;
    worker.answer = (_body, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write(begun('a', 1) + begun('b', 3));
      setTimeout(() => response.destroy(), 300);
    };
    assert.equal((await complete()).status, 502);
    assert.equal(await untilEntered(bench.acme.teamId, 'output_tokens', output! + 3), output! + 3);

    worker.answer = (_body, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write(begun('a', 1) + begun('b', 2));
    };
    const gone = new AbortController();
    const response = await fetch(`${bench.url}/v1/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bench.acme.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', prompt: 'x', stream: true }),
      signal: gone.signal,
    });
    const reader = response.body!.getReader();
    let text = '';
    while (!text.includes('"b"')) text += new TextDecoder().decode((await reader.read()).value);
    gone.abort();
    assert.equal(await untilEntered(bench.acme.teamId, 'output_tokens', output! + 5), output! + 5);
    assert.equal(await untilEntered(bench.acme.teamId, 'input_tokens', 0), input! + 18);
  });

  test('that no worker began are not entered', async () => {
    const before = await sums();
    worker.answer = says({
      type: 'error',
      status: 400,
      code: 'empty_prompt',
      message: 'Empty.',
      param: 'prompt',
    });
    assert.equal((await complete()).status, 400);
    assert.deepEqual(await sums(), before);
  });
});

describe('a budget', () => {
  test('warns once, then stops what is new and nothing else, until it is raised', async () => {
    const { other, services } = { other: bench.other, services: bench.services };
    const operator = await bench.operator();
    const path = `/v1/admin/teams/${other.teamId}/budget`;
    assertError(await other.send('GET', '/v1/usage/budget'), 404, 'budget_not_found');
    assertError(
      await operator.send('POST', '/v1/admin/teams/team-none/budget', { monthly: 1 }),
      404,
      'team_not_found',
    );
    assertError(await operator.send('POST', path, { monthly: -1 }), 400, 'invalid_value', 'monthly');
    const file = await other.upload(chatLine);
    const create = () => other.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file: file });
    const job = await create();
    assert.equal(job.status, 200, job.text);
    await operator.send('POST', '/v1/admin/prices', {
      kind: 'input_tokens',
      price: 1,
      valid_from: today - 40 * day,
    });
    await operator.send('POST', path, { monthly: 10 });
    const notices = async () => {
      await watchBudgets(services);
      const rows = await services.db.outbox.findMany({
        where: { teamId: other.teamId, topic: { startsWith: 'budget.' } },
      });
      return rows.map(({ topic }) => topic).sort();
    };
    assert.deepEqual(await notices(), []);
    await enter(other.teamId, 0, 'input_tokens', 8_500_000);
    assert.deepEqual(await notices(), ['budget.warning']);
    const shown = await other.send('GET', '/v1/usage/budget');
    assert.equal(shown.json.state, 'warning');
    assert.ok(Math.abs(shown.json.spent - 8.5) < 0.1, shown.text);

    await enter(other.teamId, 0, 'input_tokens', 2_000_000);
    assert.deepEqual(await notices(), ['budget.exceeded', 'budget.warning']);
    assert.deepEqual(await notices(), ['budget.exceeded', 'budget.warning']);
    // The earlier result is cached for two seconds.
    await sleep(2_100);
    const refused = await create();
    assertError(refused, 429, 'budget_exceeded');
    assert.match(
      refused.json.error.message,
      /budget is 10 a month, and 10\.5\d* is spent: nothing new starts until 20\d\d-/,
    );
    assert.equal(refused.headers.get('x-should-retry'), 'false');
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    for (const [route, body] of [
      ['completions', { model: 'tiny', prompt: 'x' }],
      ['chat/completions', { model: 'tiny', messages: [{ role: 'user', content: 'x' }] }],
      [`fine_tuning/jobs/${job.json.id}/resume`, undefined],
      [`fine_tuning/jobs/${job.json.id}/clone`, {}],
    ] as const)
      assertError(await other.send('POST', `/v1/${route}`, body), 429, 'budget_exceeded');
    assert.equal((await other.send('POST', `/v1/fine_tuning/jobs/${job.json.id}/cancel`)).status, 200);
    assert.equal(
      (await bench.acme.send('POST', '/v1/completions', { model: 'tiny', prompt: 'x' })).status,
      200,
    );

    await operator.send('POST', path, { monthly: 10, stops: false });
    await sleep(2_100);
    assert.equal((await create()).status, 200);
    await operator.send('POST', path, { monthly: 100 });
    assert.equal((await operator.send('GET', path)).json.state, 'within');
    assert.equal((await operator.send('DELETE', path)).status, 200);
    assertError(await operator.send('DELETE', path), 404, 'budget_not_found');
    const audit = await services.db.auditEntry.findMany({
      where: { teamId: other.teamId, action: { startsWith: 'budget.' } },
      orderBy: { id: 'asc' },
    });
    assert.deepEqual(
      audit.map(({ action }) => action.slice(7)),
      ['set', 'warning', 'exceeded', 'set', 'set', 'remove'],
    );
  });
});

test('what the API stored and removed agrees with the ledger', async () => {
  const id = await bench.acme.upload(chatLine);
  await bench.acme.upload(`${chatLine}\n${chatLine}`);
  assert.equal((await bench.acme.send('DELETE', `/v1/files/${id}`)).status, 200);
  // Entries inserted by `enter` match no existing objects.
  assert.deepEqual(
    (await checkUsage(bench.services)).filter(({ subject }) => subject !== 'x'),
    [],
  );
});
