import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../harness/random.ts';
import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const diskFull: Scenario = {
  name: 'disk-full',
  title: 'disk full',
  about:
    'the disk of the data folder fills up, to the last byte or with some kilobytes left, for up to four seconds: in checkpoints, staging or publication. What was there stays whole, and no attempt is charged.',
  rounds: { short: 0, long: 30 },
  needs: ['mounts'],
  dataFolderMib: 64,
  testTimings: true,
  run: async (run) =>
    await strikes(run, {
      charges: false,
      // It may wait for minutes before it is retried.
      patience: 600,
      strike: async (_target, { rig, random }) => {
        const filler = path.join(rig.dataFolder, 'filler');
        fill(filler, random);
        await sleep(random.between(300, 4000));
        rmSync(filler);
      },
    }),
};

function fill(file: string, random: Random): void {
  const handle = openSync(file, 'w');
  try {
    for (let bytes = 2 ** 20; bytes >= 1; bytes = Math.floor(bytes / 2)) {
      // In some rounds a few kilobytes stay free: a file can be started and not finished.
      if (bytes < 8192 && random.next() < 0.3) return;
      const chunk = Buffer.alloc(bytes);
      try {
        while (writeSync(handle, chunk) === bytes);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(handle);
  }
}
