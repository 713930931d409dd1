import type { Scenario } from '../../harness/scenario.ts';
import { signalProcess } from '../../harness/services/started.ts';
import { trainersOf } from '../../harness/services/trainers.ts';
import { strikes } from '../../harness/strikes.ts';

export const trainerKilled: Scenario = {
  name: 'trainer-killed',
  title: 'kill -9 of a trainer',
  about: 'the process that computes gets SIGKILL at a random moment; its worker keeps running.',
  rounds: { short: 1, long: 80 },
  run: async (run) =>
    await strikes(run, {
      charges: true,
      by: 'claim',
      strike: async ({ worker }) => {
        for (const pid of trainersOf(worker)) signalProcess(pid, 'SIGKILL');
      },
    }),
};
