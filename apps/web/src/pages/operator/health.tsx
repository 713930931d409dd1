import type { Wire } from '@graft/client';
import { Badge } from '../../components/badge.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { count } from '../../text/numbers.ts';
import { useQueue, useService } from './reads.ts';

/** Whether the service can do its work; what is wrong comes first, with what to do. */
export function Health() {
  const service = useService();
  const queue = useQueue();
  if (!service.data || !queue.data) {
    const retry = () => Promise.all([service.refetch(), queue.refetch()]);
    const error = service.error ?? queue.error;
    return error ? <Problem error={error} onRetry={retry} /> : <Waiting height="24rem" />;
  }
  const { version, node, started_at, storage, database, queue: bell, workers } = service.data;
  const { slots, teams } = queue.data;
  const sum = (of: (team: Wire.TeamInQueue) => number) => teams.reduce((total, team) => total + of(team), 0);
  const waiting = sum((team) => team.queued + team.dispatched);
  const faults = faultsOf(service.data, waiting);
  const versions = workers?.versions.map((each) => each ?? 'not told') ?? [];
  return (
    <>
      <section class="section">
        <h2>{faults.length === 0 ? 'All is well' : 'What is wrong'}</h2>
        {faults.length > 0 && (
          <ul class="faults">
            {faults.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        )}
        <Facts
          facts={[
            { name: 'Slots in use', value: `${count(sum((team) => team.running))} of ${count(slots)}` },
            { name: 'Jobs that wait', value: count(waiting) },
            { name: 'Teams with jobs', value: count(teams.length) },
            { name: 'Workers that take jobs', value: count(workers?.ready) },
            { name: 'Postgres', value: <Answers is={database.state} />, note: database.version },
            {
              name: 'Queue',
              value: <Answers is={bell.state} />,
              note: `${bell.backend}, ${count(bell.waiting)} rings wait`,
            },
          ]}
        />
      </section>
      <section class="section">
        <h2>Versions</h2>
        <Facts
          facts={[
            {
              name: 'API',
              value: version,
              note: (
                <>
                  since <Time at={started_at} />
                </>
              ),
            },
            { name: 'Workers', value: versions.join(', ') || 'none' },
            { name: 'Schema', value: database.migration ?? 'not known' },
            { name: 'Node', value: node },
            { name: 'Files are in', value: storage === 's3' ? 'a bucket' : 'the data folder' },
          ]}
        />
      </section>
    </>
  );
}

const Answers = ({ is: state }: { is: 'ok' | 'missing' }) => (
  <Badge tone={state === 'ok' ? 'good' : 'bad'}>{state === 'ok' ? 'answers' : 'does not answer'}</Badge>
);

function faultsOf({ version, database, queue, workers }: Wire.ServiceState, waiting: number): string[] {
  const { ready = 0, silent = 0, quarantined = 0, versions = [] } = workers ?? {};
  const { other_protocol: refusing = 0, unknown_protocol: unsure = 0 } = workers ?? {};
  const idle = waiting === 0 ? '' : `, and ${waiting === 1 ? 'a job waits' : `${count(waiting)} jobs wait`}`;
  const told: [boolean, string][] = [
    [database.state !== 'ok', 'Postgres does not answer: nothing is taken or told until it does.'],
    [queue.state !== 'ok', 'The queue does not answer: jobs start some seconds later than they could.'],
    [workers !== null && ready === 0, `No worker takes jobs${idle}. Start one with npm run start:worker.`],
    [silent > 0, `${workersAre(silent)} silent. What they held goes elsewhere when its lease has run out.`],
    [quarantined > 0, `${workersAre(quarantined)} out of service. The list of workers says why.`],
    [
      refusing > 0,
      `${workersAre(refusing)} of a version whose completions protocol is not the API's: no completions from there. Upgrade the older of the two.`,
    ],
    [
      unsure > 0,
      `${workersAre(unsure)} of a version before protocols had numbers: completions may be refused there. Upgrade them.`,
    ],
    [
      versions.some((each) => each !== version),
      'Not all processes are of one version: an upgrade is under way, or was left half done.',
    ],
  ];
  return told.flatMap(([holds, text]) => (holds ? [text] : []));
}

const workersAre = (number: number) => (number === 1 ? 'One worker is' : `${count(number)} workers are`);
