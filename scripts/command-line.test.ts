import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

const folder = mkdtempSync(path.join(tmpdir(), 'graft-command-line-'));
after(() => rmSync(folder, { recursive: true }));
const program = path.join(folder, 'main.ts');
const library = pathToFileURL(path.join(import.meta.dirname, 'command-line.ts')).href;
const bench = pathToFileURL(path.join(import.meta.dirname, '../bench/options.ts')).href;
writeFileSync(
  program,
  `/**
 * npm run grow -- [--trees N]: grows trees.
 *   --trees  how many
 */
import { commandLine } from '${library}';
import { benchOptions } from '${bench}';

const read = process.env.BENCH ? () => benchOptions({ trees: 3 }, {}) : () => commandLine({ trees: { type: 'string' } });
console.log(JSON.stringify(read()));
`,
);
const usage = 'npm run grow -- [--trees N]: grows trees.\n  --trees  how many\n';

function run(args: string[], env: Record<string, string> = {}) {
  const started = spawnSync(process.execPath, ['--import', 'tsx', program, ...args], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
    env: { ...process.env, ...env },
  });
  return [started.status, started.stdout, started.stderr];
}

test('options are read; --help and a fault print what the program says about them, without a stack', () => {
  assert.deepEqual(run(['--trees', '4']), [0, '{"trees":"4"}\n', '']);
  assert.deepEqual(run(['--help']), [0, usage, '']);
  assert.deepEqual(run(['--tres', '4']), [2, '', `Unknown option '--tres'\n\n${usage}`]);
  assert.deepEqual(run(['four']), [2, '', `Unexpected argument 'four'\n\n${usage}`]);
});

test('so do benchmarks, for numbers too', () => {
  const env = { BENCH: '1' };
  assert.deepEqual(run([], env), [0, '{"trees":3}\n', '']);
  assert.deepEqual(run(['--trees', 'many'], env), [
    2,
    '',
    `--trees is a whole number of at least 1\n\n${usage}`,
  ]);
  assert.deepEqual(run(['--help'], env), [0, usage, '']);
});
