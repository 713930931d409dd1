import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Container, RandomAccess, RowSink } from '../container.ts';
import { parquet } from './parquet.ts';

interface Golden {
  cases: { name: string; base64: string; rows: Record<string, unknown>[] }[];
  deltaByteArray: string;
}
const golden: Golden = JSON.parse(readFileSync(new URL('../testdata/parquet.json', import.meta.url), 'utf8'));

async function rowsOf(content: Buffer): Promise<unknown[]> {
  const rows: unknown[] = [];
  const sink: RowSink = {
    begin: (_: Container) => {},
    columns: (names) => new Set(names),
    row: (number, value) => {
      assert.equal(number, rows.length + 1);
      rows.push(value);
    },
    bad: (number, fault) => assert.fail(`${number} ${fault}`),
  };
  const file: RandomAccess = {
    bytes: content.length,
    read: async (at, length) => Uint8Array.from(content.subarray(at, at + length)),
  };
  const positions: number[] = [];
  const onPosition = async (bytes: number) => {
    positions.push(bytes);
  };
  await parquet.readFile!(file, sink, onPosition, () => assert.fail('has no files in it'));
  assert.ok(
    positions.length > 0 && positions.every((at, i) => at <= content.length && at >= (positions[i - 1] ?? 0)),
  );
  return rows;
}

/** Converts a row to the fields that JSON lines would have: none without a value, but for a message's content. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, field]) => field !== null || name === 'content')
      .map(([name, field]) => [name, withoutNulls(field)]),
  );
}

for (const { name, base64, rows } of golden.cases) {
  test(`reads what pyarrow writes: ${name}`, async () => {
    const read = await rowsOf(Buffer.from(base64, 'base64'));
    // pyarrow prints times in its own way.
    for (const all of [read, rows] as Record<string, unknown>[][]) for (const row of all) delete row.when;
    assert.deepEqual(read, withoutNulls(rows));
  });
}

test('an encoding that may decode to any size is refused', async () => {
  await assert.rejects(rowsOf(Buffer.from(golden.deltaByteArray, 'base64')), {
    code: 'invalid_jsonl',
    message: /the encoding DELTA_BYTE_ARRAY of column prompt is not supported/,
  });
});

test('damage anywhere is an error of the file, or changes a value', async () => {
  for (const { name, base64 } of golden.cases) {
    const content = Buffer.from(base64, 'base64');
    const step = Math.max(1, Math.floor(content.length / 40));
    for (let at = 4; at < content.length; at += step) {
      for (const value of [0x00, 0xff, content[at]! ^ 0x10]) {
        const damaged = Buffer.from(content);
        damaged[at] = value;
        try {
          await rowsOf(damaged);
        } catch (error) {
          const { code, message } = error as { code?: string; message: string };
          assert.ok(code === 'invalid_jsonl' || code === 'ERR_ASSERTION', `${name}, byte ${at}: ${message}`);
        }
      }
    }
    for (let end = 0; end < content.length; end += step * 3)
      await assert.rejects(rowsOf(content.subarray(0, end)), { code: 'invalid_jsonl' });
  }
});
