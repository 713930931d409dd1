import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { GraftClient } from '../graft-client.ts';
import { localServer, sendError, sendJson } from '../testing/local-server.ts';

const eventText = (number: number) =>
  `id: ftevent-${number}\nevent: fine_tuning.job.event\ndata: {"id":"ftevent-${number}","message":"m${number}"}\n\n`;
const sse = { 'content-type': 'text/event-stream' };

test('the event stream reconnects behind the last event and ends at [DONE]', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response, index) => {
    response.writeHead(200, sse);
    if (index === 0) {
      // Broken in the middle of the second event.
      response.write(`: heartbeat\n\n${eventText(1)}id: ftevent-2\ndata: {"id":`);
      setTimeout(() => response.destroy(), 20);
    } else if (index === 1) {
      response.end(eventText(2));
    } else {
      response.end(`${eventText(3)}data: [DONE]\n\n`);
    }
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const seen: string[] = [];
  for await (const event of client.fineTuning.jobs.events.stream('ftjob-1')) seen.push(event.id);
  assert.deepEqual(seen, ['ftevent-1', 'ftevent-2', 'ftevent-3']);
  assert.deepEqual(
    requests.map((request) => [request.url, request.headers['last-event-id']]),
    [undefined, 'ftevent-1', 'ftevent-2'].map((id) => [
      '/v1/fine_tuning/jobs/ftjob-1/events?stream=true',
      id,
    ]),
  );
});

test('an unknown job ends the event stream with its error, at once', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => {
    sendError(response, 404, 'job_not_found');
  });
  const stream = new GraftClient({ baseUrl, apiKey: 'k' }).fineTuning.jobs.events.stream('ftjob-x');
  await assert.rejects(stream.next(), { code: 'job_not_found' });
  assert.equal(requests.length, 1);
});

test('leaving the loop hangs up', async (t) => {
  const server = new EventEmitter();
  const hungUp = once(server, 'hung up');
  const { baseUrl } = await localServer(t, (_request, response) => {
    response.writeHead(200, sse).write(eventText(1));
    response.on('close', () => server.emit('hung up'));
  });
  for await (const _ of new GraftClient({ baseUrl, apiKey: 'k' }).fineTuning.jobs.events.stream('j')) break;
  await hungUp;
});

test("the caller's abort ends a waiting event stream", async (t) => {
  const { baseUrl } = await localServer(t, (_request, response) => {
    response.writeHead(200, sse).write(eventText(1));
  });
  const controller = new AbortController();
  const options = { signal: controller.signal };
  const stream = new GraftClient({ baseUrl, apiKey: 'k' }).fineTuning.jobs.events.stream('j', options);
  await stream.next();
  setTimeout(() => controller.abort(), 50);
  await assert.rejects(stream.next(), { name: 'AbortError' });
});

test('jobs are created, filtered by metadata, and moved through their states', async (t) => {
  const { baseUrl, requests } = await localServer(t, (request, response) => {
    const list = { object: 'list', data: [], has_more: false };
    sendJson(response, 200, request.url.includes('?') ? list : { id: 'ftjob-1' });
  });
  const { jobs } = new GraftClient({ baseUrl, apiKey: 'k' }).fineTuning;
  await jobs.create({ model: 'm', training_file: 'file-1', peft: { peft_type: 'LORA', r: 4 } });
  await jobs.cancel('ftjob-1');
  await jobs.pause('ftjob-1');
  await jobs.resume('ftjob-1');
  await jobs.clone('ftjob-1', { seed: null });
  await jobs.list({ limit: 5, status: 'failed', metadata: { owner: 'me' } }).toArray();
  await jobs.metrics('ftjob-1', { afterStep: 7 });
  await jobs.checkpoints.list('ftjob-1', { limit: 1 }).toArray();
  await jobs.checkpoints.promote('ftjob-1', 'ftckpt_1', { name: 'poet' });
  await jobs.checkpoints.delete('ftjob-1', 'ftckpt_1');
  assert.deepEqual(
    requests.map((request) => `${request.method} ${request.url.slice('/v1/fine_tuning/jobs'.length)}`),
    [
      'POST ',
      'POST /ftjob-1/cancel',
      'POST /ftjob-1/pause',
      'POST /ftjob-1/resume',
      'POST /ftjob-1/clone',
      'GET ?limit=5&status=failed&metadata%5Bowner%5D=me',
      'GET /ftjob-1/metrics?after_step=7',
      'GET /ftjob-1/checkpoints?limit=1',
      'POST /ftjob-1/checkpoints/ftckpt_1/promote',
      'DELETE /ftjob-1/checkpoints/ftckpt_1',
    ],
  );
  assert.equal(requests[0]?.headers['content-type'], 'application/json');
});

test('attempts are fetched to the last page, although pages are shorter than their limit', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response, index) => {
    const data = [{ id: `attempt-${index}` }];
    const outlook = { attempts_left: 3 - index };
    sendJson(response, 200, { object: 'list', data, has_more: index < 2, last_id: data[0]!.id, outlook });
  });
  const { jobs } = new GraftClient({ baseUrl, apiKey: 'k' }).fineTuning;
  const { data, outlook } = await jobs.attempts('ftjob-1');
  assert.deepEqual(
    data.map(({ id }) => id),
    ['attempt-0', 'attempt-1', 'attempt-2'],
  );
  assert.equal(outlook?.attempts_left, 1);
  assert.deepEqual(
    requests.map(({ url }) => new URL(url, baseUrl).searchParams.get('after')),
    [null, 'attempt-0', 'attempt-1'],
  );
});
