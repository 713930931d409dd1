import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Scenario } from '../../harness/scenario.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const model = 'packages/service/src/jobs/testing/interleavings.test.ts';

export const interleavings: Scenario = {
  name: 'interleavings',
  title: 'interleavings of a job’s operations',
  about:
    'random interleavings of claim, heartbeat, complete, fail, cancel, pause, resume, sweep, crash, lost and doubled doorbells, validation included, some at the same moment, run by the transitions on real SQL: each answers and leaves what a model of the states says.',
  rounds: { short: 0, long: 10_000 },
  testTimings: true,
  run: async ({ rig, random, report, rounds }) => {
    const seed = random.below(2 ** 31);
    const child = spawn(process.execPath, ['--test-reporter=tap', 'scripts/compile/run.mjs', model], {
      cwd: root,
      env: {
        ...process.env,
        DATABASE_URL: rig.postgres.url,
        GRAFT_MODEL_RUNS: String(rounds),
        GRAFT_MODEL_SEED: String(seed),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    const [code] = await once(child, 'close');
    report.tried = rounds;
    report.broken(`the model, GRAFT_MODEL_SEED=${seed}`, code === 0 ? [] : [said.slice(0, 4000)]);
  },
};
