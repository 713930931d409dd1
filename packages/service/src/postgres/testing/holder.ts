/** A process that holds an embedded Postgres: sends `{pid, port, adopted}` to its parent, and releases it at SIGTERM. */
import { pino } from 'pino';
import { holdEmbeddedPostgres } from '../acquire-postgres.ts';

const held = await holdEmbeddedPostgres(process.argv[2]!, pino({ level: 'silent' }));
process.send!({ pid: held.pid, port: held.port, adopted: held.adopted, url: held.url('graft') });
process.once('SIGTERM', () => {
  void held.release().then(() => process.exit(0));
});
setInterval(() => {}, 60_000);
