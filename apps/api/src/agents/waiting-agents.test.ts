/** Agents that wait block no requests of their team or of other teams. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApiKey } from '@graft/service/keys';
import { createTeam } from '@graft/service/teams';
import { callTool, connectAgent } from '../testing/agent.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { startScriptedWorker, token } from '../testing/scripted-worker.ts';

let bench: ApiBench;
before(async () => {
  // Requests of a tool do not count separately from the agent's, or no key could have all of its requests wait.
  const most = { requests: 8, uploads: 24, streams: 24, completions: 24 };
  bench = await openApiBench({
    openLimits: {
      perKey: most,
      perTeam: { ...most, requests: 10 },
      perAddress: { ...most, requests: 30, connections: 500 },
    },
  });
});
after(async () => await bench?.close());

const agentsPerTeam = 8;

async function newTeam(name: string): Promise<Caller> {
  const { id } = await createTeam(bench.services, { name });
  const { key } = await createApiKey(bench.services, id, { name: 'agents', role: 'member' });
  return bench.withKey({ teamId: id, teamName: name }, key);
}

async function newJob(team: Caller): Promise<string> {
  const training_file = await team.upload(chatLine);
  const created = await team.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  assert.equal(created.status, 200, created.text);
  await bench.untilState(created.json.id, 'queued');
  return created.json.id;
}

/** Calls a tool with one request, whose body may be padded. */
async function post(team: Caller, name: string, args: object, padding = 0, signal?: AbortSignal) {
  const params = { name, arguments: args, ...(padding > 0 && { _meta: { padding: 'x'.repeat(padding) } }) };
  const response = await fetch(`${bench.url}/v1/mcp`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${team.key}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
    ...(signal && { signal }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const { result } = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text);
  return JSON.parse(result.content[0].text);
}

for (const [what, padding] of [
  ['', 0],
  [' with bodies of 1 MB', 1_000_000],
] as const) {
  test(`24 agents of three teams${what} wait for jobs, and all requests are answered meanwhile`, async () => {
    const teams = await Promise.all(['a', 'b', 'c'].map((name) => newTeam(`${name}-${padding}`)));
    const jobs = await Promise.all(teams.map(newJob));
    const waits = teams.flatMap((team, i) =>
      Array.from({ length: agentsPerTeam }, () =>
        post(team, 'wait_for_fine_tuning_job', { fine_tuning_job_id: jobs[i]!, seconds: 50 }, padding),
      ),
    );
    const ended = Promise.all(waits);
    // Avoids an unhandled rejection before the result is awaited below.
    ended.catch(() => {});
    await sleep(1500);
    for (let i = 0; i < 20; i++) assert.equal((await bench.other.send('GET', '/v1/files')).status, 200);
    assert.equal((await bench.other.send('POST', '/v1/files', undefined)).status, 415);
    // With another key, since one key of such a team has all its requests open.
    const others = await Promise.all(teams.map((team) => bench.caller(team, 'member')));
    for (const [i, team] of others.entries()) {
      const cancelled = await team.send('POST', `/v1/fine_tuning/jobs/${jobs[i]}/cancel`);
      assert.equal(cancelled.json.status, 'cancelled', cancelled.text);
    }
    assert.deepEqual(
      (await ended).map(({ status }) => status),
      Array(3 * agentsPerTeam).fill('cancelled'),
    );
  });
}

test('24 agents of three teams upload 800 kB each, and all are answered', async () => {
  const teams = await Promise.all(['d', 'e', 'f'].map(newTeam));
  const jsonl = `${JSON.stringify({ text: 'word '.repeat(20_000) })}\n`.repeat(8);
  const uploads = teams.flatMap((team) =>
    Array.from({ length: agentsPerTeam }, async () => await post(team, 'upload_training_data', { jsonl })),
  );
  for (let i = 0; i < 5; i++) assert.equal((await bench.other.send('GET', '/v1/files')).status, 200);
  for (const file of await Promise.all(uploads)) assert.equal(file.bytes, Buffer.byteLength(jsonl));
});

test('24 agents of three teams chat with 900 kB each, and all are answered', async () => {
  const worker = await startScriptedWorker(bench.services, 'refuses', (_body, response) => {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ code: 'context_length_exceeded', message: 'too long' }));
  });
  const teams = await Promise.all(['g', 'h', 'i'].map(newTeam));
  const messages = [{ role: 'user', content: 'word '.repeat(180_000) }];
  const chats = teams.flatMap((team) =>
    Array.from({ length: agentsPerTeam }, async () => await post(team, 'chat', { model: 'tiny', messages })),
  );
  for (let i = 0; i < 5; i++) assert.equal((await bench.other.send('GET', '/v1/files')).status, 200);
  for (const answer of await Promise.all(chats)) assert.ok(answer.error.code, JSON.stringify(answer));
  await worker.close();
});

test('an agent that hangs up on a chat makes the worker stop', async () => {
  const hangUp = new AbortController();
  let stopped = () => {};
  const isStopped = new Promise<void>((resolve) => {
    stopped = resolve;
  });
  const worker = await startScriptedWorker(bench.services, 'chats', (_body, response) => {
    response.writeHead(200);
    response.write(`${JSON.stringify(token('Hel'))}\n`);
    response.on('close', stopped);
    hangUp.abort();
  });
  const chat = { model: 'tiny', messages: [{ role: 'user', content: 'a' }] };
  await assert.rejects(post(bench.acme, 'chat', chat, 0, hangUp.signal), { name: 'AbortError' });
  await isStopped;
  await worker.close();
});

test('a wait whose agent hangs up ends, and what it had open can be opened again', async () => {
  const id = await newJob(bench.acme);
  const wait = { fine_tuning_job_id: id, seconds: 50 };
  for (let round = 0; round < 3; round++) {
    const hangUp = new AbortController();
    const gone = Array.from({ length: agentsPerTeam }, () =>
      post(bench.acme, 'wait_for_fine_tuning_job', wait, 0, hangUp.signal),
    );
    await sleep(300);
    hangUp.abort();
    await Promise.allSettled(gone);
    await sleep(100);
  }
  assert.equal((await post(bench.acme, 'get_fine_tuning_job', { fine_tuning_job_id: id })).id, id);
});

test('tools answer whole, whatever the arguments ask for', async () => {
  const client = await connectAgent(bench.url, bench.acme.key);
  const id = await newJob(bench.acme);
  const events = await callTool(client, 'list_fine_tuning_events', { fine_tuning_job_id: id, stream: true });
  assert.equal(events.json.object, 'list');
  await client.close();
});
