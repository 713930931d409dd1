import assert from 'node:assert/strict';
import type { APIError } from 'openai';
import { type Shape, shaped } from './openai-shapes.ts';

/** Fails unless the call throws this error of OpenAI's client, whose body has the fields of OpenAI's errors. */
export async function failsWith<E extends APIError>(
  kind: new (...args: never[]) => E,
  call: () => Promise<unknown>,
  code?: string,
): Promise<E> {
  const error = await call().then(
    () => assert.fail(`${kind.name} expected`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof kind && error.requestID, String(error));
  // Without Graft's own `details`, which list every fault of a request.
  const { details, ...body } = error.error as Record<string, unknown>;
  assert.deepEqual(Object.keys(body).sort(), ['code', 'message', 'param', 'type']);
  if (code !== undefined) assert.equal(error.code, code, error.message);
  return error;
}

/** All items of a list, each of the shape. */
export async function allOf<T>(pages: AsyncIterable<T>, shape: Shape): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pages) {
    shaped(item, shape);
    items.push(item);
  }
  return items;
}
export const idsOf = (items: { id: string }[]) => items.map(({ id }) => id);
