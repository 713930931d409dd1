import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { appendEvent, leaseOf } from '@graft/service/jobs';
import { type ApiBench, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { runJob } from '../../testing/run-job.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

async function createJob(): Promise<string> {
  const training_file = await bench.acme.upload(chatLine);
  const answer = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  await bench.untilState(answer.json.id, 'queued');
  return answer.json.id;
}

interface Message {
  id?: string;
  event?: string;
  data?: string;
  comment?: string;
}

/** Opens an event stream; `next` returns one message after another, null at the end. */
async function openStream(id: string, headers: Record<string, string> = {}) {
  const hangUp = new AbortController();
  const response = await fetch(`${bench.url}/v1/fine_tuning/jobs/${id}/events?stream=true`, {
    headers: { authorization: `Bearer ${bench.acme.key}`, ...headers },
    signal: hangUp.signal,
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  const next = async (): Promise<Message | null> => {
    while (!buffer.includes('\n\n')) {
      const { done, value } = await reader.read();
      if (done) return null;
      buffer += value;
    }
    const end = buffer.indexOf('\n\n');
    const lines = buffer.slice(0, end).split('\n');
    buffer = buffer.slice(end + 2);
    return Object.fromEntries(
      lines.map((line) => (line.startsWith(':') ? ['comment', line.slice(2)] : line.split(/: (.*)/s, 2))),
    );
  };
  const nextEvent = async (): Promise<Message | null> => {
    for (let message = await next(); ; message = await next()) if (!message?.comment) return message;
  };
  return { response, next, nextEvent, close: () => hangUp.abort() };
}

describe('job events', () => {
  test('pages, newest first', async () => {
    const id = await createJob();
    const list = async (query: string) =>
      (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${id}/events?${query}`)).json;
    const all = await list('');
    assert.equal(all.data.length, 2);
    const [validated, created] = all.data;
    assert.match(created.message, /^Created fine-tuning job: ftjob-/);
    assert.match(validated.message, /queued/);
    assert.deepEqual(
      [created.object, created.level, created.type, created.data],
      ['fine_tuning.job.event', 'info', 'message', {}],
    );
    const first = await list('limit=1');
    assert.deepEqual([first.data[0].id, first.has_more], [validated.id, true]);
    const second = await list(`limit=1&after=${validated.id}`);
    assert.deepEqual([second.data[0].id, second.has_more], [created.id, false]);
  });

  test('streams what was, what comes, and the end', async () => {
    const id = await createJob();
    const stream = await openStream(id);
    assert.equal(stream.response.status, 200);
    assert.equal(stream.response.headers.get('content-type'), 'text/event-stream');
    assert.match(stream.response.headers.get('x-request-id')!, /^req_/);
    const created = await stream.nextEvent();
    assert.match(created!.id!, /^ftevent-/);
    assert.equal(created!.event, 'fine_tuning.job.event');
    const event = JSON.parse(created!.data!);
    assert.deepEqual([event.id, event.object], [created!.id, 'fine_tuning.job.event']);
    assert.match(JSON.parse((await stream.nextEvent())!.data!).message, /queued/);

    const job = await runJob(bench, id);
    assert.match(JSON.parse((await stream.nextEvent())!.data!).message, /started/);
    await appendEvent(bench.services, leaseOf(job), {
      message: 'Step 1',
      type: 'metrics',
      data: { step: 1, text: 'two\nlines' },
    });
    const metrics = JSON.parse((await stream.nextEvent())!.data!);
    assert.deepEqual([metrics.type, metrics.data], ['metrics', { step: 1, text: 'two\nlines' }]);
    await bench.services.sql.query(
      "UPDATE jobs SET state = 'cancelled', lease_until = NULL, finished_at = now() WHERE id = $1",
      [id],
    );
    assert.deepEqual(await stream.nextEvent(), { data: '[DONE]' });
    assert.equal(await stream.next(), null);
  });

  test('Last-Event-ID continues after that event', async () => {
    const id = await createJob();
    await bench.acme.send('POST', `/v1/fine_tuning/jobs/${id}/cancel`);
    const { data } = (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${id}/events`)).json;
    const ids = data.map((event: { id: string }) => event.id).toReversed();
    const received = async (headers: Record<string, string>) => {
      const stream = await openStream(id, headers);
      const seen: (string | undefined)[] = [];
      for (let event = await stream.nextEvent(); event; event = await stream.nextEvent()) seen.push(event.id);
      return seen;
    };
    assert.deepEqual(await received({}), [...ids, undefined]);
    assert.deepEqual(await received({ 'last-event-id': ids[1] }), [...ids.slice(2), undefined]);
    assert.deepEqual(await received({ 'last-event-id': ids.at(-1) }), [undefined]);
    assert.deepEqual(await received({ 'last-event-id': 'ftevent-none' }), [...ids, undefined]);
  });

  test('a silent stream is kept open by comments, and hanging up ends it', async () => {
    const id = await createJob();
    const stream = await openStream(id);
    await stream.nextEvent();
    await stream.nextEvent();
    assert.deepEqual(await stream.next(), { comment: 'heartbeat' });
    assert.deepEqual(await stream.next(), { comment: 'heartbeat' });
    stream.close();
    await sleep(100);
  });
});

test('all open streams share one statement a look, and each has its events', async () => {
  const { services } = bench.app;
  const { query } = services.sql;
  const looks: number[] = [];
  // biome-ignore-start lint/suspicious/noExplicitAny: pg's overloads
  services.sql.query = ((text: any, values: any) => {
    if (typeof text === 'string' && text.includes('WITH ORDINALITY')) looks.push(values[0].length);
    return (query as any).call(services.sql, text, values);
  }) as any;
  // biome-ignore-end lint/suspicious/noExplicitAny: pg's overloads
  const hangUp = new AbortController();
  try {
    const training_file = await bench.acme.upload(chatLine);
    const { json: job } = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
      model: 'tiny',
      training_file,
    });
    await bench.untilState(job.id, 'queued');
    const headers = { authorization: `Bearer ${bench.acme.key}` };
    const path = `${bench.url}/v1/fine_tuning/jobs/${job.id}/events?stream=true`;
    const streams = await Promise.all(
      Array.from({ length: 20 }, async () => await fetch(path, { headers, signal: hangUp.signal })),
    );
    const texts = streams.map(() => '');
    const reading = streams.map(async (stream, i) => {
      for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) texts[i] += chunk;
    });
    while (!texts.every((text) => text.includes('queued state'))) await sleep(10);
    while (looks.at(-1) !== 20) await sleep(10);
    await bench.acme.send('POST', `/v1/fine_tuning/jobs/${job.id}/cancel`);
    await Promise.all(reading);
    for (const text of texts) assert.match(text, /cancelled[\s\S]*\[DONE\]/);
  } finally {
    hangUp.abort();
    services.sql.query = query;
  }
});
