import type { Wire } from '@graft/client';
import { Cut } from '../../components/cut.tsx';
import { Empty } from '../../components/empty.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Time } from '../../components/time.tsx';
import { count, percent } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';
import { useQueue } from './queries.ts';

type TeamInQueue = Wire.TeamInQueue;

/** The order of teams in the queue, and each team's share of the slots. */
export const Queue = () => (
  <Loaded query={useQueue()} height="24rem">
    {(queue) => <QueueView {...queue} />}
  </Loaded>
);

function QueueView({ slots, teams }: Wire.Queue) {
  const sum = (value: (team: TeamInQueue) => number) => teams.reduce((total, team) => total + value(team), 0);
  const activeJobs = (team: TeamInQueue) => team.running + team.dispatched;
  const isCompeting = (team: TeamInQueue) => activeJobs(team) + team.queued > 0;
  const weights = sum((team) => (isCompeting(team) ? team.weight : 0));
  const activeTotal = sum(activeJobs);
  return (
    <section class="panel">
      <Facts
        facts={[
          { name: 'Slots', value: count(slots), note: 'of available workers' },
          { name: 'Running', value: count(sum((team) => team.running)) },
          { name: 'Dispatched', value: count(sum((team) => team.dispatched)) },
          { name: 'Waiting', value: count(sum((team) => team.queued)) },
          { name: 'Validating', value: count(sum((team) => team.validating)) },
          { name: 'Paused', value: count(sum((team) => team.paused)) },
        ]}
      />
      {teams.length === 0 ? (
        <Empty title="No jobs">
          <p>Teams with waiting jobs are listed here and take turns in proportion to their weights.</p>
        </Empty>
      ) : (
        <Table
          label="Teams in queue order"
          minWidth="62rem"
          rows={teams}
          rowKey={({ id }) => id}
          columns={[
            { head: 'Team', cell: ({ name }) => <Cut text={name} /> },
            { head: 'Weight', width: '5rem', end: true, cell: ({ weight }) => count(weight) },
            {
              head: 'Current and fair share',
              width: '13rem',
              cell: (team) => (
                <Shares
                  name={team.name}
                  current={activeTotal === 0 ? 0 : activeJobs(team) / activeTotal}
                  fair={isCompeting(team) ? team.weight / weights : 0}
                />
              ),
            },
            {
              head: 'Running',
              width: '7rem',
              end: true,
              cell: (team) => `${count(activeJobs(team))} of ${count(team.running_limit)}`,
            },
            { head: 'Waiting', width: '6rem', end: true, cell: ({ queued }) => count(queued) },
            { head: 'Paused', width: '5rem', end: true, cell: ({ paused }) => count(paused) },
            {
              head: 'Waiting since',
              width: '9rem',
              cell: ({ waiting_since }) => (waiting_since === null ? '–' : <Time at={waiting_since} />),
            },
            { head: 'Next turn', width: '9rem', cell: nextTurn },
          ]}
        />
      )}
      <p class="small soft">
        Each job counts its slot time divided by the team’s weight. The team with the lowest total is next; a
        returning team starts at the level of the others. Set weights and limits under Teams.
      </p>
    </section>
  );
}

const Shares = ({ name, current, fair }: { name: string; current: number; fair: number }) => (
  <span class="shares tight small">
    <span>
      <Meter value={current} label={`${name}: current share`} />
      <span>{percent(current)}</span>
    </span>
    <span class="soft">
      <Meter value={fair} label={`${name}: fair share`} />
      <span>{percent(fair)}</span>
    </span>
  </span>
);

function nextTurn({ queued, ahead, running, dispatched, running_limit }: TeamInQueue): string {
  if (queued === 0) return 'no waiting jobs';
  if (running + dispatched >= running_limit) return 'at the limit';
  return ahead < 1 / 60 ? 'next' : `${duration(ahead * 60)} behind`;
}
