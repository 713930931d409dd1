import type { Wire } from '@graft/client';
import { Badge } from '../../components/badge.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { count, counted } from '../../text/numbers.ts';
import { useQueue, useService } from './queries.ts';

/** Health of the service: problems with their remedy first, then figures and versions. */
export function Health() {
  const service = useService();
  const queue = useQueue();
  if (!service.data || !queue.data) {
    const retry = () => Promise.all([service.refetch(), queue.refetch()]);
    const error = service.error ?? queue.error;
    return error ? <Problem error={error} onRetry={retry} /> : <Waiting height="24rem" />;
  }
  const { version, node, started_at, storage, database, queue: jobQueue, workers } = service.data;
  const { slots, teams } = queue.data;
  const sum = (value: (team: Wire.TeamInQueue) => number) =>
    teams.reduce((total, team) => total + value(team), 0);
  const waiting = sum((team) => team.queued + team.dispatched);
  const problems = findProblems(service.data, waiting);
  const versions = workers?.versions.map((each) => each ?? 'unknown') ?? [];
  return (
    <>
      <section class="panel">
        <h2>{problems.length === 0 ? 'No problems' : 'Problems'}</h2>
        {problems.length > 0 && (
          <ul class="problems tight">
            {problems.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        )}
        <Facts
          facts={[
            { name: 'Slots in use', value: `${count(sum((team) => team.running))} of ${count(slots)}` },
            { name: 'Waiting jobs', value: count(waiting) },
            { name: 'Teams with jobs', value: count(teams.length) },
            { name: 'Available workers', value: count(workers?.ready) },
            { name: 'Postgres', value: <ServiceBadge state={database.state} />, note: database.version },
            {
              name: 'Queue',
              value: <ServiceBadge state={jobQueue.state} />,
              note: `${jobQueue.backend}, ${counted(jobQueue.waiting, 'message')} waiting`,
            },
          ]}
        />
      </section>
      <section class="panel">
        <h2>Versions</h2>
        <Facts
          facts={[
            { name: 'API', value: version, note: <Time at={started_at} prefix="since" /> },
            { name: 'Workers', value: versions.join(', ') || 'none' },
            { name: 'Schema', value: database.migration ?? 'unknown' },
            { name: 'Node', value: node },
            { name: 'File storage', value: storage === 's3' ? 'S3 bucket' : 'data folder' },
          ]}
        />
      </section>
    </>
  );
}

const ServiceBadge = ({ state }: { state: 'ok' | 'missing' }) => (
  <Badge tone={state === 'ok' ? 'good' : 'bad'}>{state === 'ok' ? 'healthy' : 'unavailable'}</Badge>
);

function findProblems({ version, database, queue, workers }: Wire.ServiceState, waiting: number): string[] {
  const { ready = 0, silent = 0, quarantined = 0, versions = [] } = workers ?? {};
  const { other_protocol: incompatible = 0, unknown_protocol: unversioned = 0 } = workers ?? {};
  const idle =
    waiting === 0 ? '' : `, and ${waiting === 1 ? '1 job is' : `${count(waiting)} jobs are`} waiting`;
  const checks: [boolean, string][] = [
    [database.state !== 'ok', 'Postgres is unavailable: no requests are processed until it recovers.'],
    [queue.state !== 'ok', 'The queue is unavailable: jobs start a few seconds later than usual.'],
    [workers !== null && ready === 0, `No worker is available${idle}. Start one with npm run start:worker.`],
    [
      silent > 0,
      `${workersAre(silent)} not responding. Other workers take over their jobs when the leases expire.`,
    ],
    [quarantined > 0, `${workersAre(quarantined)} quarantined. See the reason under Workers.`],
    [
      incompatible > 0,
      `${workersAre(incompatible)} using a different completions protocol version than the API and cannot serve completions. Upgrade the older of the two.`,
    ],
    [
      unversioned > 0,
      `${workersAre(unversioned)} running a version without a protocol number and may reject completions. Upgrade to the version of the API.`,
    ],
    [
      versions.some((each) => each !== version),
      'Processes run different versions: an upgrade is in progress or incomplete.',
    ],
  ];
  return checks.flatMap(([holds, text]) => (holds ? [text] : []));
}

const workersAre = (number: number) => (number === 1 ? '1 worker is' : `${count(number)} workers are`);
