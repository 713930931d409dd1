import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { CheckContext, Figures } from '../check.ts';
import { needPyTorch } from '../pytorch.ts';

const matrix = join(import.meta.dirname, '../../../test/golden/matrix');

/** Files of the matrix and their cells: of each kind of architecture and of method one. */
const cells: Record<'all' | 'few', Record<string, string[]>> = JSON.parse(
  await readFile(join(import.meta.dirname, '../testdata/golden-cells.json'), 'utf8'),
);

/** Cells of the golden matrix, trained on the device, against PyTorch and HF PEFT on the processor. */
export async function goldenMatrix({ small }: CheckContext): Promise<Figures> {
  await needPyTorch({ kind: 'cpu' });
  const chosen = Object.entries(small ? cells.few : cells.all);
  let passed = 0;
  const failed: string[] = [];
  for (const [file, names] of chosen) {
    const result = await tested(join(matrix, file), names);
    passed += result.passed;
    failed.push(...result.failed);
  }
  const cellCount = chosen.flatMap(([, names]) => names).length;
  if (failed.length > 0 || passed === 0)
    throw new Error(
      `${passed} checks of ${cellCount} cells passed, ${failed.length} failed: ${failed.join('; ')}`,
    );
  return { cells: `${cellCount}`, checks: `${passed}` };
}

const runner = join(import.meta.dirname, '../../compile/run.mjs');

/** Runs a file of the matrix; what it writes is written here too. */
async function tested(file: string, names: string[]): Promise<{ passed: number; failed: string[] }> {
  const child = spawn(process.execPath, ['--test-reporter=tap', runner, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, GRAFT_MATRIX: names.join(',') },
  });
  let passed = 0;
  const failed: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    console.log(line);
    const [, not, name] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (name === undefined) return;
    if (not) failed.push(name);
    else passed += 1;
  });
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0 && failed.length === 0) failed.push(`${file} ended with ${code}`);
  return { passed, failed };
}
