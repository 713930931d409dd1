import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');

test("the README's example finds 2 and -3", () => {
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? assert.fail('no example');
  const file = join(import.meta.dirname, `readme-example-${process.pid}.ts`);
  writeFileSync(file, code);
  try {
    const printed = execFileSync(process.execPath, ['--import', 'tsx', file], { encoding: 'utf8' });
    const [first, second] = printed.match(/-?\d+\.\d+|-?\d+(?=[,\s])/g)?.map(Number) ?? [];
    assert.ok(Math.abs(first! - 2) < 1e-3 && Math.abs(second! + 3) < 1e-3, printed);
  } finally {
    rmSync(file);
  }
});
