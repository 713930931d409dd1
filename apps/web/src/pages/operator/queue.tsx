import type { Wire } from '@graft/client';
import { Empty } from '../../components/empty.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { count, percent } from '../../text/numbers.ts';
import { span } from '../../text/times.ts';
import { useQueue } from './reads.ts';

type TeamInQueue = Wire.TeamInQueue;

/** Whose turn it is, and whether each team has its share of the slots. */
export function Queue() {
  const queue = useQueue();
  if (!queue.data) {
    return queue.error ? <Problem error={queue.error} onRetry={queue.refetch} /> : <Waiting height="24rem" />;
  }
  const { slots, teams } = queue.data;
  const sum = (of: (team: TeamInQueue) => number) => teams.reduce((total, team) => total + of(team), 0);
  const underWay = (team: TeamInQueue) => team.running + team.dispatched;
  const wants = (team: TeamInQueue) => underWay(team) + team.queued > 0;
  const weights = sum((team) => (wants(team) ? team.weight : 0));
  const held = sum(underWay);
  return (
    <section class="section">
      <Facts
        facts={[
          { name: 'Slots', value: count(slots), note: 'of workers that take jobs' },
          { name: 'Running', value: count(sum((team) => team.running)) },
          { name: 'Sent to workers', value: count(sum((team) => team.dispatched)) },
          { name: 'Waiting', value: count(sum((team) => team.queued)) },
          { name: 'Files are read', value: count(sum((team) => team.validating)) },
          { name: 'Paused', value: count(sum((team) => team.paused)) },
        ]}
      />
      {teams.length === 0 ? (
        <Empty title="No team has a job">
          <p>When several have, they take turns here: each as often as its weight says.</p>
        </Empty>
      ) : (
        <Table
          label="Teams in the order of their turns"
          minWidth="62rem"
          rows={teams}
          rowKey={({ id }) => id}
          columns={[
            {
              head: 'Team',
              names: true,
              cell: ({ name }) => (
                <span class="cut" title={name}>
                  {name}
                </span>
              ),
            },
            { head: 'Weight', width: '5rem', end: true, cell: ({ weight }) => count(weight) },
            {
              head: 'Share now, and by weight',
              width: '13rem',
              cell: (team) => (
                <Shares
                  name={team.name}
                  has={held === 0 ? 0 : underWay(team) / held}
                  due={wants(team) ? team.weight / weights : 0}
                />
              ),
            },
            {
              head: 'Running',
              width: '7rem',
              end: true,
              cell: (team) => `${count(underWay(team))} of ${count(team.running_limit)}`,
            },
            { head: 'Waiting', width: '6rem', end: true, cell: ({ queued }) => count(queued) },
            { head: 'Paused', width: '5rem', end: true, cell: ({ paused }) => count(paused) },
            {
              head: 'Waits since',
              width: '9rem',
              cell: ({ waiting_since }) => (waiting_since === null ? '–' : <Time at={waiting_since} />),
            },
            { head: 'Its turn', width: '9rem', cell: (team) => turnOf(team) },
          ]}
        />
      )}
      <p class="small soft">
        A turn costs the time of a slot, divided by the weight. Whose had least is next; a team that comes
        back begins where the others are. Weights and limits are set under Teams.
      </p>
    </section>
  );
}

const Shares = ({ name, has, due }: { name: string; has: number; due: number }) => (
  <span class="shares small">
    <span>
      <Meter value={has} label={`${name}: share now`} />
      <span>{percent(has)}</span>
    </span>
    <span class="soft">
      <Meter value={due} label={`${name}: share by weight`} />
      <span>{percent(due)}</span>
    </span>
  </span>
);

function turnOf({ queued, ahead, running, dispatched, running_limit }: TeamInQueue): string {
  if (queued === 0) return 'nothing waits';
  if (running + dispatched >= running_limit) return 'at its limit';
  return ahead < 1 / 60 ? 'next' : `${span(ahead * 60)} after`;
}
