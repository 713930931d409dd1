import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalised, PostgresStatements } from './postgres-statements.ts';

function message(type: string, ...fields: string[]): Buffer {
  const body = Buffer.from(fields.map((field) => `${field}\0`).join(''));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const startup = Buffer.concat([Buffer.from([0, 0, 0, 8]), Buffer.from([0, 3, 0, 0])]);

test('statements are reported as they pass, a named one each time it is bound, at any chunk size', () => {
  const bytes = Buffer.concat([
    startup,
    message('p', 'password'),
    message('Q', 'BEGIN'),
    message('P', '', 'SELECT 1'),
    message('B', '', ''),
    message('P', 'named', 'SELECT 2'),
    message('B', 'portal', 'named'),
    message('B', '', 'named'),
    message('X'),
  ]);
  const wanted = ['BEGIN', 'SELECT 1', 'SELECT 2', 'SELECT 2'];
  for (const size of [1, 7, bytes.length]) {
    const statements = new PostgresStatements();
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += size)
      found.push(...statements.read(bytes.subarray(at, at + size)));
    assert.deepEqual(found, wanted, `${size} bytes at a time`);
  }
});

test('the same statement has the same text, independent of its values and their number', () => {
  assert.equal(
    normalised('INSERT INTO t  -- all\n VALUES ($1,$2), ($3, $4)'),
    normalised('INSERT INTO t VALUES ($1, $2)'),
  );
  assert.equal(normalised("SET a = 'it''s'"), 'SET a = ?');
  assert.notEqual(normalised('SELECT 1'), normalised('SELECT 2'));
});
