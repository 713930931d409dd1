import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { compileSets } from './compile-kernels.mjs';
import { findCompiler } from './prerequisites.mjs';

const native = join(import.meta.dirname, '../../../packages/tf-graph/native');
const exec = promisify(execFile);

test('a compiler that does not know matrix units compiles all sets but theirs', async (t) => {
  if (process.platform !== 'linux' || process.arch !== 'x64') return t.skip('sets of x86-64');
  const work = await mkdtemp(join(tmpdir(), 'graft-sets-'));
  t.after(() => rm(work, { recursive: true, force: true }));
  const compiler = findCompiler();
  const older = join(work, 'older-compiler');
  await writeFile(
    older,
    `#!/bin/sh
for word in "$@"; do
  case "$word" in -mamx*) echo "unrecognized command-line option '$word'" >&2; exit 1;; esac
done
exec ${compiler} "$@"
`,
  );
  await chmod(older, 0o755);

  const lines: string[] = [];
  const objects = await compileSets({
    log: (line) => lines.push(line),
    compiler: older,
    native,
    work,
    optimize: '-O0',
  });
  assert.deepEqual(
    objects.map((object) => object.slice(work.length + 1)),
    ['sets', 'baseline', 'avx2', 'avx512', 'avx512vnni', 'avx512bf16'].map((name) => `kernels-${name}.o`),
  );
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /does not know amxbf16/);

  // Together they are a whole: what is missing is not in the list, whatever this processor has.
  await writeFile(
    join(work, 'main.cc'),
    '#include <cstdio>\nextern "C" const char* graft_kernel_sets();\nint main() { std::puts(graft_kernel_sets()); }',
  );
  await exec(compiler, [join(work, 'main.cc'), ...objects, '-o', join(work, 'main')]);
  const { stdout } = await exec(join(work, 'main'));
  const sets = stdout.trim().split(',');
  assert.ok(sets.includes('baseline') && !sets.includes('amxbf16'), stdout);
});
