import assert from 'node:assert/strict';
import type OpenAI from 'openai';
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

/** Checks OpenAI's client on a tiny sentence model: numbers, base64, and fewer dimensions. */
export async function checkEmbeddings(client: OpenAI, name: string): Promise<void> {
  const create = (more: Partial<OpenAI.EmbeddingCreateParams> = {}) =>
    client.embeddings.create({ model: name, input: ['Hello', 'Hello you'], ...more });
  const { object, data, usage, model } = await create();
  assert.deepEqual([object, model, usage], ['list', name, { prompt_tokens: 14, total_tokens: 14 }]);
  const plain = (await create({ encoding_format: 'float' })).data;
  for (const [i, { index, object, embedding }] of data.entries()) {
    assert.deepEqual([index, object, embedding.length], [i, 'embedding', plain[i]!.embedding.length]);
    assert.ok(embedding.every((x, j) => Math.abs(x - plain[i]!.embedding[j]!) < 1e-7));
  }
  const [short] = (await create({ dimensions: 8, input: 'Hello' })).data;
  assert.equal(short!.embedding.length, 8);
  assert.ok(Math.abs(Math.hypot(...short!.embedding) - 1) < 1e-6);
}
