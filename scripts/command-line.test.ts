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
writeFileSync(
  program,
  `/**
 * npm run grow -- [--trees N]: grows trees.
 *   --trees  how many
 */
import { commandLine, listOf } from '${library}';

const { trees, kinds } = commandLine({ kinds: { type: 'string', default: 'oak' } }, { trees: 3 }, { trees: 2 });
console.log(JSON.stringify([trees, listOf('kinds', kinds, ['oak', 'elm'])]));
`,
);
const usage = 'npm run grow -- [--trees N]: grows trees.\n  --trees  how many\n';

function run(...args: string[]) {
  const started = spawnSync(process.execPath, ['--import', 'tsx', program, ...args], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
  });
  return [started.status, started.stdout, started.stderr];
}

test('options are read; --help and a fault print what the program says about them, without a stack', () => {
  assert.deepEqual(run('--trees', '4', '--kinds', 'elm,oak'), [0, '[4,["elm","oak"]]\n', '']);
  assert.deepEqual(run(), [0, '[3,["oak"]]\n', '']);
  assert.deepEqual(run('--help'), [0, usage, '']);
  const faults: [string[], string][] = [
    [['--tres', '4'], "Unknown option '--tres'"],
    [['four'], "Unexpected argument 'four'"],
    [['--trees', 'many'], '--trees is a whole number of at least 2'],
    [['--trees', '1'], '--trees is a whole number of at least 2'],
    [['--kinds', 'elm,ash'], '--kinds: ash is none of oak, elm'],
  ];
  for (const [args, fault] of faults) assert.deepEqual(run(...args), [2, '', `${fault}\n\n${usage}`]);
});
