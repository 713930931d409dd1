/**
 * npm run check:gpu: tries Graft on this machine's NVIDIA card and prints one report to paste, in markdown; progress goes to
 * standard error. Exit code 1 when a check failed or there is no card, 2 for wrong usage.
 *
 * npm run check:gpu -- [--device cpu] [--small] [--only demo,billion] [--pytorch]
 *   --device   cpu: runs every check on the CPU
 *   --small    sizes that a CPU computes in seconds
 *   --only     checks whose names contain one of these words
 *   --pytorch  installs PyTorch and HF PEFT first (some GB); without it, comparisons with them are skipped
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCodeVersion } from '../../packages/service/src/code-version.ts';
import { commandLine, endWithUsage } from '../command-line.ts';
import { findPythonEnvironment, pythonEnvironment } from '../golden/environment/python-environment.ts';
import { describeMachine } from '../measuring/report.ts';
import { describeDevice, findCard } from './card.ts';
import type { Made } from './check.ts';
import { checks } from './checks.ts';
import { reportOf } from './report.ts';
import { runApart } from './run-apart.ts';

// The first steps of a large model compiled by XLA take minutes.
const limitSeconds = 1800;

const options = readOptions();
const device = options.device === 'cpu' ? ({ kind: 'cpu' } as const) : await findCard();
if (typeof device === 'string') {
  console.error(`✗ ${device} (--device cpu tries all but the card)`);
  process.exit(1);
}
if (options.pytorch)
  for (const library of ['peft', 'quantised'] as const) await pythonEnvironment(undefined, library);

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());
const shared = await mkdtemp(join(tmpdir(), 'graft-check-'));
const made: Made[] = [];
try {
  for (const check of options.checks) {
    if (interrupted.signal.aborted) break;
    console.error(`… ${check.name}`);
    const one = await runApart(check, {
      device,
      small: options.small,
      shared,
      limitSeconds,
      signal: interrupted.signal,
    });
    console.error(
      `  ${one.result}${one.result === 'passed' ? '' : `: ${one.reason}`} (${one.seconds.toFixed(0)} s)`,
    );
    made.push(one);
  }
} finally {
  await rm(shared, { recursive: true, force: true });
}
const { version, commit } = await readCodeVersion();
const machine = {
  Graft: `${version} (${commit?.slice(0, 12) ?? 'no commit'})`,
  ...describeDevice(device),
  ...describeMachine(await findPythonEnvironment()),
  system: `${process.platform} ${release()}`,
};
console.log(reportOf(machine, made));
process.exit(interrupted.signal.aborted || made.some(({ result }) => result === 'failed') ? 1 : 0);

function readOptions() {
  const values = commandLine({
    device: { type: 'string', default: 'gpu' },
    small: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    pytorch: { type: 'boolean', default: false },
  });
  const { device } = values;
  if (device !== 'cpu' && device !== 'gpu') return endWithUsage('--device must be cpu or gpu');
  const words = values.only.split(',').filter((word) => word !== '');
  const chosen = checks.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  if (chosen.length > 0) return { ...values, device, checks: chosen };
  const known = checks.map(({ name }) => name).join(', ');
  return endWithUsage(`--only must contain a part of a check's name (${known}), got ${values.only}`);
}
