import type { WorkerObject } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { Badge } from '../../components/badge.tsx';
import { Facts } from '../../components/facts.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time, useNow } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { count } from '../../text/numbers.ts';
import { useQueue, useService, useWorkers } from './reads.ts';
import { stateOf } from './worker-state.tsx';

/** Whether the service can do its work; what is wrong comes first, with what to do. */
export function Health() {
  const service = useService();
  const workers = useWorkers();
  const queue = useQueue();
  const now = useNow();
  const error = service.error ?? workers.error ?? queue.error;
  if (!service.data || !workers.data || !queue.data) {
    const retry = () => Promise.all([service.refetch(), workers.refetch(), queue.refetch()]);
    return error ? <Problem error={error} onRetry={retry} /> : <Waiting height="24rem" />;
  }
  const { database, queue: bell, version } = service.data;
  const machines = workers.data.pages.flatMap(({ data }) => data);
  const { slots, teams } = queue.data;
  const sum = (of: (team: (typeof teams)[number]) => number) =>
    teams.reduce((total, team) => total + of(team), 0);
  const versions = [...new Set(machines.map((worker) => worker.version ?? 'not told'))];
  const [running, waiting] = [sum((team) => team.running), sum((team) => team.queued + team.dispatched)];
  const faults = [
    ...(database.state === 'ok'
      ? []
      : [<Fault key="db">Postgres does not answer: nothing is taken or told until it does.</Fault>]),
    ...(bell.state === 'ok'
      ? []
      : [
          <Fault key="bell">The queue does not answer: jobs start some seconds later than they could.</Fault>,
        ]),
    ...faultsOf(machines, now, waiting),
    ...(versions.length > 1 || (versions.length === 1 && versions[0] !== version)
      ? [
          <Fault key="versions">
            Not all processes are of one version: an upgrade is under way, or was left half done.
          </Fault>,
        ]
      : []),
  ];
  return (
    <>
      <section class="section">
        <h2>{faults.length === 0 ? 'All is well' : 'What is wrong'}</h2>
        {faults.length > 0 && <ul class="faults">{faults}</ul>}
        <Facts
          facts={[
            { name: 'Slots in use', value: `${count(running)} of ${count(slots)}` },
            { name: 'Jobs that wait', value: count(waiting) },
            { name: 'Teams with jobs', value: count(teams.length) },
            { name: 'Workers', value: count(machines.length) },
            {
              name: 'Postgres',
              value: <Answers is={database.state} />,
              note: database.version,
            },
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
                  since <Time at={service.data.started_at} />
                </>
              ),
            },
            { name: 'Workers', value: versions.join(', ') || 'none' },
            { name: 'Schema', value: database.migration ?? 'not known' },
            { name: 'Node', value: service.data.node },
            { name: 'Files are in', value: service.data.storage === 's3' ? 'a bucket' : 'the data folder' },
          ]}
        />
      </section>
    </>
  );
}

const Answers = ({ is: state }: { is: 'ok' | 'missing' }) => (
  <Badge tone={state === 'ok' ? 'good' : 'bad'}>{state === 'ok' ? 'answers' : 'does not answer'}</Badge>
);

const Fault = ({ children }: { children: ComponentChildren }) => <li>{children}</li>;

function faultsOf(machines: readonly WorkerObject[], now: number, waiting: number): ComponentChildren[] {
  const states = machines.map((worker) => stateOf(worker, now));
  const number = (state: string) => states.filter((each) => each === state).length;
  const [silent, quarantined] = [number('silent'), number('quarantined')];
  const told: [boolean, string][] = [
    [
      number('ready') === 0,
      `No worker takes jobs${waiting > 0 ? `, and ${count(waiting)} wait` : ''}. Start one with npm run start:worker.`,
    ],
    [silent > 0, `${workersAre(silent)} silent. What they held goes elsewhere when its lease has run out.`],
    [quarantined > 0, `${workersAre(quarantined)} out of service. The list of workers says why.`],
  ];
  return told.flatMap(([holds, text]) => (holds ? [<Fault key={text}>{text}</Fault>] : []));
}

const workersAre = (number: number) => (number === 1 ? 'One worker is' : `${count(number)} workers are`);
