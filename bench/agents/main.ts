/**
 * npm run bench:agents: what waiting agents cost other teams. Clients of one team request jobs and lists: alone, while 24 agents of three
 * teams wait for jobs through POST /v1/mcp, and while each of those calls has a body of 1 MB. The three settings alternate, so that other
 * load on the machine affects all of them.
 *
 * npm run bench:agents -- [--agents 24] [--clients 4] [--rounds 4] [--seconds 10] [--wait 10] [--check]
 *   --rounds   turns of each setting
 *   --seconds  length of one turn
 *   --wait     seconds that one call of an agent waits before the agent calls again
 *   --check    fails where the p99 beside agents is more than twice the calm one, or an agent gets no answer
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../scripts/command-line.ts';
import { quantile } from '../../scripts/measuring/report.ts';
import { createJob, startApi, toolCall, uploadFile } from '../running-api.ts';

const { agents, clients, rounds, seconds, wait, check } = commandLine(
  { check: { type: 'boolean', default: false } },
  { agents: 24, clients: 4, rounds: 4, seconds: 10, wait: 10 },
);

/** Characters that are added to each call of an agent; null: no agents. */
const paddings: Record<string, number | null> = {
  calm: null,
  'agents that wait': 0,
  'agents that wait, bodies of 1 MB': 1_000_000,
};
const results = Object.keys(paddings).map((name) => ({ name, took: [] as number[], calls: 0, answered: 0 }));

const api = await startApi({ connections: agents + clients });
try {
  const line = '{"prompt": "a", "completion": "b"}\n';
  const teams = await Promise.all(
    ['one', 'two', 'three'].map(async (name) => {
      const { key } = await api.newTeam(name);
      return { key, job: await createJob(api, key, await uploadFile(api, key, line)) };
    }),
  );
  const { key } = await api.newTeam('other');
  const own = await createJob(api, key, await uploadFile(api, key, line));
  const paths = [`/v1/fine_tuning/jobs/${own}`, '/v1/files', '/v1/fine_tuning/jobs', '/v1/models'];

  /** Milliseconds that each answer took. */
  const askFor = async (milliseconds: number): Promise<number[]> => {
    const took: number[] = [];
    const end = performance.now() + milliseconds;
    await Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        for (let i = client; performance.now() < end; i++) {
          const start = performance.now();
          const { status, text } = await api.ask({ path: paths[i % paths.length]!, key });
          if (status !== 200) throw new Error(text);
          took.push(performance.now() - start);
          await sleep(20);
        }
      }),
    );
    return took;
  };

  await askFor(5_000);
  for (let round = 0; round < rounds; round++) {
    for (const result of results) {
      const padding = paddings[result.name] ?? null;
      let isOver = false;
      const waiting = Array.from({ length: padding === null ? 0 : agents }, async (_, agent) => {
        const team = teams[agent % teams.length]!;
        const args = { fine_tuning_job_id: team.job, seconds: wait };
        // Written before the clock starts: the client's own work in between would count.
        const call = toolCall(team.key, 'wait_for_fine_tuning_job', args, padding ?? 0);
        await sleep((1000 * Math.min(wait, seconds) * agent) / agents);
        while (!isOver) {
          result.calls++;
          const { status, text } = await api.ask(call);
          if (status === 200 && text.includes(team.job)) result.answered++;
          else console.log(text);
        }
      });
      result.took.push(...(await askFor(1000 * seconds)));
      isOver = true;
      await Promise.all(waiting);
    }
    console.log(`round ${round + 1} of ${rounds} is done`);
  }
} finally {
  await api.close();
}

const calm = quantile(results[0]!.took, 0.99);
for (const { name, took, calls, answered } of results) {
  const p99 = quantile(took, 0.99);
  const agentCalls = calls > 0 ? `; ${answered} of ${calls} calls of agents answered` : '';
  console.log(
    `${name}: ${took.length} answers of the other team, p50 ${quantile(took, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms (${(p99 / calm).toFixed(2)} × calm)${agentCalls}`,
  );
  if (check && (p99 > 2 * calm || answered < calls)) process.exitCode = 1;
}
