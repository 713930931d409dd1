import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const commitCut: Scenario = {
  name: 'commit-cut',
  title: 'connection cut at COMMIT',
  about:
    'the connection of API or holder is reset just before or just after its next COMMIT was sent: the sender cannot know whether it holds. There must be one truth.',
  rounds: { short: 2, long: 100 },
  run: async (run) =>
    await strikes(run, {
      charges: false,
      strike: async ({ worker }, { rig, random }) => {
        const member = random.next() < 0.3 ? rig.api : worker;
        const verdict = random.pick(['cut before', 'cut after'] as const);
        // Which of the next commits: claim, heartbeat, metrics, checkpoint, publication.
        let skipped = random.below(6);
        const cut = new Promise<void>((resolve) => {
          member.postgres.onStatement = (sql) => {
            if (!/^\s*commit\b/i.test(sql) || skipped-- > 0) return 'pass';
            member.postgres.onStatement = null;
            resolve();
            return verdict;
          };
        });
        await Promise.race([cut, sleep(15_000, undefined, { ref: false })]);
        member.postgres.onStatement = null;
      },
    }),
};
