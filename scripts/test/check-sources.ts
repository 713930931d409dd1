import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Tally } from './tally.ts';

const checks: { name: string; package: string; bin: string; args: string[] }[] = [
  { name: 'types', package: 'typescript', bin: 'bin/tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'types of the dashboard', package: 'typescript', bin: 'bin/tsc', args: ['-p', 'apps/web'] },
  { name: 'types of the browser tests', package: 'typescript', bin: 'bin/tsc', args: ['-p', 'test/browser'] },
  { name: 'lint', package: '@biomejs/biome', bin: 'bin/biome', args: ['check', '.'] },
  { name: 'unused code', package: 'knip', bin: 'bin/knip.js', args: ['--no-progress', '--no-config-hints'] },
];

/** Runs the type checker and the linters, each counted as one test, and prints what they found. */
export async function checkSources(root: string, tally: Tally): Promise<void> {
  for (const check of checks) {
    const started = performance.now();
    const { code, output } = await run(
      process.execPath,
      [join(root, 'node_modules', check.package, check.bin), ...check.args],
      root,
    );
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (code === 0) {
      tally.passed += 1;
      console.log(`✔ ${check.name} (${seconds} s)`);
    } else {
      tally.failed += 1;
      console.log(`✖ ${check.name} (${seconds} s)\n${output.trimEnd()}\n`);
    }
  }
}

async function run(command: string, args: string[], cwd: string): Promise<{ code: number; output: string }> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const parts: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => parts.push(text));
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit) => resolve(exit ?? 1));
  });
  return { code, output: parts.join('') };
}
