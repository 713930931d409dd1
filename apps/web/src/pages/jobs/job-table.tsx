import type { FineTuningJob } from '@graft/client';
import { useRef } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { Sparkline } from '../../components/chart/sparkline.tsx';
import { type Column, Table } from '../../components/lists/table.tsx';
import { useNames } from '../../data/people.ts';
import { jobName, methodName } from '../../text/job-names.ts';
import { measure } from '../../text/numbers.ts';
import { JobActions } from './job-actions.tsx';
import { JobEnd, JobStanding } from './job-standing.tsx';

/** Jobs that can be laid over one another. */
const mostPicked = 8;
const noLosses: number[] = [];

interface JobRow {
  job: FineTuningJob;
  losses: number[];
  owner: string;
  isPicked: boolean;
  /** The same for every row and every time. */
  onPick: (id: string, isPicked: boolean) => void;
}

const columns: readonly Column<JobRow>[] = [
  {
    head: <span class="visually-hidden">Compare</span>,
    width: '2.75rem',
    cell: ({ job, isPicked, onPick }) => (
      <input
        type="checkbox"
        class="jobs-pick"
        aria-label={`Compare ${jobName(job)}`}
        checked={isPicked}
        onChange={(event) => onPick(job.id, event.currentTarget.checked)}
      />
    ),
  },
  {
    head: 'Job',
    names: true,
    cell: ({ job }) => (
      <>
        <Link href={`/jobs/${job.id}`} class="cut" title={`${jobName(job)} (${job.id})`}>
          {jobName(job)}
        </Link>
        <span class="cut small soft" title={job.model}>
          {job.sweep ? 'sweep' : methodName(job)} · {job.model}
        </span>
      </>
    ),
  },
  { head: 'Status', width: '13rem', cell: ({ job }) => <JobStanding job={job} /> },
  {
    head: 'Loss',
    width: '12rem',
    cell: ({ job, losses }) => <Loss name={jobName(job)} losses={losses} last={job.progress?.loss} />,
  },
  {
    head: 'Owner',
    width: '7.5rem',
    cell: ({ job, owner }) => (
      <span class="cut" title={job.created_by ?? undefined}>
        {owner}
      </span>
    ),
  },
  { head: 'End', width: '7.5rem', cell: ({ job }) => <JobEnd job={job} /> },
  {
    head: <span class="visually-hidden">Actions</span>,
    width: '7.5rem',
    end: true,
    cell: ({ job }) => <JobActions job={job} isSmall />,
  },
];

interface JobTableProps {
  jobs: readonly FineTuningJob[];
  losses: ReadonlyMap<string, number[]>;
  picked: readonly string[];
  onPicked: (picked: readonly string[]) => void;
}

export function JobTable({ jobs, losses, picked, onPicked }: JobTableProps) {
  const { nameOf } = useNames();
  const latest = useRef({ picked, onPicked });
  latest.current = { picked, onPicked };
  const onPick = useRef((id: string, isPicked: boolean) => {
    const others = latest.current.picked.filter((each) => each !== id);
    latest.current.onPicked(isPicked ? [...others, id].slice(-mostPicked) : others);
  });
  const rows = jobs.map(
    (job): JobRow => ({
      job,
      losses: losses.get(job.id) ?? noLosses,
      owner: job.created_by === null ? '–' : nameOf(job.created_by),
      isPicked: picked.includes(job.id),
      onPick: onPick.current,
    }),
  );
  return <Table label="Jobs" rows={rows} rowKey={({ job }) => job.id} minWidth="62rem" columns={columns} />;
}

function Loss({
  name,
  losses,
  last = null,
}: {
  name: string;
  losses: number[];
  last?: number | null | undefined;
}) {
  const now = last ?? losses.at(-1) ?? null;
  const words = losses.length > 1 ? `from ${measure(losses[0])} to ${measure(now)}` : 'none yet';
  return (
    <span class="jobs-loss">
      <Sparkline values={losses} label={`Loss of ${name}: ${words}`} />
      <span class="jobs-loss-now">{measure(now)}</span>
    </span>
  );
}
