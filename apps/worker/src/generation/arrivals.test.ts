import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arrivals, type Arrived } from './arrivals.ts';

const never = new AbortController().signal;
const token = (count: number): Arrived => ({
  type: 'token',
  text: 'a',
  promptTokens: 1,
  cachedTokens: 0,
  completionTokens: count,
  likely: { token: 'a', logprob: -1, top: Array.from({ length: 20 }, () => ({ token: 'a', logprob: -1 })) },
});

test('an answer that nobody reads is dropped before it fills the memory', async () => {
  const arrivals = new Arrivals();
  for (let i = 1; i <= 100_000; i++) {
    arrivals.put(token(i));
    assert.ok(arrivals.length < 10_000);
  }
  const event = await arrivals.next(never);
  assert.equal(event.type, 'failed');
  assert.equal(event.type === 'failed' && event.fault.code, 'answer_not_read');
});

test('one that is read, even if its reader is a thousand tokens behind, arrives whole', async () => {
  const arrivals = new Arrivals();
  for (let i = 1; i <= 50_000; i++) {
    arrivals.put(token(i));
    if (i <= 1000) continue;
    const event = await arrivals.next(never);
    assert.equal(event.type === 'token' && event.completionTokens, i - 1000);
  }
});
