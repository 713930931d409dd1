import assert from 'node:assert/strict';
import type { Answer } from './open-api-bench.ts';

/** Asserts an error in OpenAI's format: the four keys, optionally Graft's `details`, a code, and a request id. Returns the message. */
export function assertError(
  answer: Pick<Answer, 'status' | 'json' | 'headers'>,
  status: number,
  code: string,
  param?: string | null,
): string {
  const shown = JSON.stringify(answer.json);
  assert.equal(answer.status, status, shown);
  assert.deepEqual(Object.keys(answer.json), ['error'], shown);
  const { error } = answer.json;
  const { details, ...openAis } = error;
  assert.deepEqual(Object.keys(openAis).sort(), ['code', 'message', 'param', 'type'], shown);
  if (details) {
    assert.ok(details.length > 0, shown);
    for (const each of details) assert.ok(error.message.length > 0 && each.message.length > 0, shown);
  }
  assert.equal(error.code, code, shown);
  assert.equal(error.type, typeOf(status));
  if (param !== undefined) assert.equal(error.param, param, shown);
  assert.equal(typeof error.message, 'string');
  assert.match(answer.headers.get('x-request-id') ?? '', /^req_[0-9a-f]{24}$/);
  return error.message;
}

function typeOf(status: number): string {
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}
