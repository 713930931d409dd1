/** Audit rows are written in only one place, which requires an actor. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const writes = /auditEntry\.(?:create|upsert|update|delete)|INSERT INTO "?audit_log/i;

test('nothing but insert-audit.ts writes audit rows', () => {
  const writers = ['apps', 'packages', 'scripts'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => `${folder}/${name}`)
      .filter((file) => /\.m?ts$|\.mjs$/.test(file) && !/\/node_modules\/|\/dist\//.test(file))
      .filter((file) => !/\.test\.ts$|\/testing\/|\/src\/generated\//.test(file))
      .filter((file) => writes.test(readFileSync(join(root, file), 'utf8'))),
  );
  assert.deepEqual(writers, ['packages/service/src/audit/insert-audit.ts']);
});
