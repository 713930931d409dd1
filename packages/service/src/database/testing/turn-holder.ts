/** Holds the lease `held` on the database given as argument, reports it, and keeps it until the process is killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { connectDatabase } from '../database.ts';
import { runExclusive } from '../run-exclusive.ts';

const database = connectDatabase(process.argv[2]!, pino({ level: 'silent' }), { defaultScope: 'system' });
await runExclusive(database, 'held', async () => {
  process.send!('held');
  await sleep(3_600_000);
});
