/**
 * The cost of a thousand clients that each wait for a different job: they poll it with the ETag of the previous answer, over
 * connections that stay open. Prints response times, statuses, and how many connections to Postgres the API held.
 *
 * usage: main.ts [--pollers 1000] [--every 2] [--seconds 60]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../scripts/command-line.ts';
import { quantile } from '../../scripts/measuring/report.ts';
import { createJob, startApi, uploadFile } from '../running-api.ts';

const { pollers, every, seconds } = commandLine({}, { pollers: 1000, every: 2, seconds: 60 });
const teams = 10;

const api = await startApi({ connections: pollers });

async function createJobs(): Promise<{ key: string; id: string }[]> {
  const jobs: { key: string; id: string }[] = [];
  for (let team = 0; team < teams; team++) {
    const { key } = await api.newTeam(`team-${team}`);
    const file = await uploadFile(api, key, '{"prompt": "a", "completion": "b"}\n');
    for (let i = 0; i < pollers / teams; i++) jobs.push({ key, id: await createJob(api, key, file) });
  }
  return jobs;
}

try {
  console.log(`creating ${pollers} jobs of ${teams} teams`);
  const jobs = await createJobs();
  const until = performance.now() + 1000 * seconds;
  const took: number[] = [];
  const statuses = new Map<number, number>();
  let connections = 0;
  const watch = setInterval(async () => {
    const { rows } = await api.services.sql.query<{ count: number }>(
      "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'graft%'",
    );
    connections = Math.max(connections, rows[0]?.count ?? 0);
  }, 500);
  console.log(`${pollers} pollers, each every ${every} s, for ${seconds} s`);
  await Promise.all(
    jobs.map(async ({ key, id }) => {
      let headers: Record<string, string> = {};
      for (await sleep(Math.random() * every * 1000); performance.now() < until; ) {
        const start = performance.now();
        const answer = await api.ask({ path: `/v1/fine_tuning/jobs/${id}`, key, headers });
        const milliseconds = performance.now() - start;
        took.push(milliseconds);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.headers.etag) headers = { 'if-none-match': String(answer.headers.etag) };
        await sleep(Math.max(0, every * 1000 - milliseconds));
      }
    }),
  );
  clearInterval(watch);
  const at = (share: number) => Math.round(quantile(took, share));
  const byStatus = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`);
  console.log(
    `${took.length} answers (${byStatus.join(', ')}), ${Math.round(took.length / seconds)} a second`,
  );
  console.log(`p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms`);
  console.log(`${connections} connections to Postgres at most`);
} finally {
  await api.close();
}
