import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { GraftClient } from '../graft-client.ts';
import { localServer, sendJson } from '../testing/local-server.ts';

const chunk = (content: string) => `data: {"choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`;
const params = { model: 'm', messages: [{ role: 'user' as const, content: 'Hi' }] };

test('a whole answer', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => {
    sendJson(response, 200, {
      id: 'c',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Ho' } }],
    });
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const answer = await client.chat.completions.create({ ...params, max_tokens: 5 });
  assert.equal(answer.choices[0]?.message.content, 'Ho');
  assert.equal(requests[0]?.url, '/v1/chat/completions');
  assert.deepEqual(JSON.parse(String(requests[0]?.body)), { ...params, max_tokens: 5 });
});

test('a streamed answer arrives piece by piece', async (t) => {
  const first = new EventEmitter();
  const { baseUrl } = await localServer(t, async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(chunk('Grü'));
    // Sent only after the first piece was read: the client must not wait for the whole response.
    await once(first, 'read');
    response.end(`${chunk('ße')}data: [DONE]\n\n`);
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  let text = '';
  for await (const piece of await client.chat.completions.create({ ...params, stream: true })) {
    text += piece.choices[0]?.delta.content;
    first.emit('read');
  }
  assert.equal(text, 'Grüße');
});

test('an error inside a stream, and a stream without its end, are errors', async (t) => {
  const { baseUrl } = await localServer(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (request.url.endsWith('/chat/completions')) {
      response.end(
        `${chunk('a')}data: {"error":{"message":"Gone.","type":"server_error","param":null,"code":"worker_failed"}}\n\n`,
      );
    } else {
      response.end('data: {"choices":[{"index":0,"text":"a"}]}\n\n');
    }
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const chat = await client.chat.completions.create({ ...params, stream: true });
  assert.equal((await chat.next()).value?.choices[0]?.delta.content, 'a');
  await assert.rejects(chat.next(), { code: 'worker_failed', message: 'Gone.', requestId: 'req-1' });
  const plain = await client.completions.create({ model: 'm', prompt: 'x', stream: true });
  await plain.next();
  await assert.rejects(plain.next(), /ended before it was complete/);
});
