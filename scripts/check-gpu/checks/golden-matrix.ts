import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { CheckContext, Figures } from '../check.ts';
import { needPyTorch } from '../pytorch.ts';

const matrix = join(import.meta.dirname, '../../../test/golden/matrix');

/** Of each kind of architecture and of method one: inside a layer, in place of a weight, before the text, beside a sublayer. */
const cells: Record<string, string[]> = {
  'decoders.test.ts': ['llama × lora$', 'qwen3 × dora$', 'gpt2 × prompt_tuning$'],
  'readers.test.ts': ['bert SEQ_CLS × ia3$'],
  'encoder-decoders.test.ts': ['t5 × ln_tuning$'],
};
const fewCells: Record<string, string[]> = { 'decoders.test.ts': ['llama × lora$'] };

/** Cells of the golden matrix, trained on the device, against PyTorch and HF PEFT on the processor. */
export async function goldenMatrix({ small }: CheckContext): Promise<Figures> {
  await needPyTorch({ kind: 'cpu' });
  const chosen = Object.entries(small ? fewCells : cells);
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

/** Runs a file of the matrix; what it writes is written here too. */
async function tested(file: string, names: string[]): Promise<{ passed: number; failed: string[] }> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--test-reporter=tap', file], {
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
