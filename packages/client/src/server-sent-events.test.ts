import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ServerSentEvent, serverSentEvents } from './server-sent-events.ts';

const text =
  ': hello\n\nid: 1\ndata: a\n\ndata: b\ndata:  c\r\ndata\r\n\r\nevent: end\rid: 2\rdata:ü\r\rid: 3\n\ndata: cut off';
const expected: ServerSentEvent[] = [
  { id: '1', event: 'message', data: 'a' },
  { id: '1', event: 'message', data: 'b\n c\n' },
  { id: '2', event: 'end', data: 'ü' },
];

async function parse(bytes: Uint8Array, chunkBytes: number): Promise<ServerSentEvent[]> {
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  }
  const events: ServerSentEvent[] = [];
  for await (const event of serverSentEvents(chunks())) events.push(event);
  return events;
}

test('every line end, many data lines, comments and ids are read, however the bytes are cut', async () => {
  const bytes = new TextEncoder().encode(text);
  for (const chunkBytes of [1, 2, 3, 7, bytes.length]) {
    assert.deepEqual(await parse(bytes, chunkBytes), expected, `${chunkBytes} bytes at a time`);
  }
});
