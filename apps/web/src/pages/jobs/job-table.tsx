import type { FineTuningJob } from '@graft/client';
import { useRef } from 'preact/hooks';
import { Sparkline } from '../../components/chart/sparkline.tsx';
import { Cut } from '../../components/cut.tsx';
import { type Column, Table } from '../../components/lists/table.tsx';
import { useMemberNames } from '../../data/member-names.ts';
import { jobName, methodName } from '../../text/job-names.ts';
import { measure } from '../../text/numbers.ts';
import { JobActions } from './job-actions.tsx';
import { JobEnd, JobStatusCell } from './job-status-cell.tsx';

/** Jobs that can be compared. */
const maxSelected = 8;
const noLosses: number[] = [];

interface JobRow {
  job: FineTuningJob;
  losses: number[];
  owner: string;
  isSelected: boolean;
  /** The same function for all rows and renders. */
  onSelect: (id: string, isSelected: boolean) => void;
}

const columns: readonly Column<JobRow>[] = [
  {
    head: <span class="visually-hidden">Compare</span>,
    width: '2.75rem',
    cell: ({ job, isSelected, onSelect }) => (
      <input
        type="checkbox"
        class="jobs-pick"
        aria-label={`Compare ${jobName(job)}`}
        checked={isSelected}
        onChange={(event) => onSelect(job.id, event.currentTarget.checked)}
      />
    ),
  },
  {
    head: 'Job',
    isRowHeader: true,
    cell: ({ job }) => (
      <>
        <Cut text={jobName(job)} title={`${jobName(job)} (${job.id})`} href={`/jobs/${job.id}`} />
        <Cut
          text={`${job.sweep ? 'sweep' : methodName(job)} · ${job.model}`}
          title={job.model}
          class="small soft"
        />
      </>
    ),
  },
  { head: 'Status', width: '13rem', cell: ({ job }) => <JobStatusCell job={job} /> },
  {
    head: 'Loss',
    width: '12rem',
    cell: ({ job, losses }) => <Loss name={jobName(job)} losses={losses} last={job.progress?.loss} />,
  },
  {
    head: 'Owner',
    width: '7.5rem',
    cell: ({ job, owner }) => <Cut text={owner} title={job.created_by} />,
  },
  { head: 'Finished', width: '7.5rem', cell: ({ job }) => <JobEnd job={job} /> },
  { width: '7.5rem', actions: ({ job }) => <JobActions job={job} isSmall /> },
];

interface JobTableProps {
  jobs: readonly FineTuningJob[];
  losses: ReadonlyMap<string, number[]>;
  selected: readonly string[];
  onSelectionChange: (selected: readonly string[]) => void;
}

export function JobTable({ jobs, losses, selected, onSelectionChange }: JobTableProps) {
  const { nameOf } = useMemberNames();
  const latest = useRef({ selected, onSelectionChange });
  latest.current = { selected, onSelectionChange };
  const onSelect = useRef((id: string, isSelected: boolean) => {
    const others = latest.current.selected.filter((each) => each !== id);
    latest.current.onSelectionChange(isSelected ? [...others, id].slice(-maxSelected) : others);
  });
  const rows = jobs.map(
    (job): JobRow => ({
      job,
      losses: losses.get(job.id) ?? noLosses,
      owner: job.created_by === null ? '–' : nameOf(job.created_by),
      isSelected: selected.includes(job.id),
      onSelect: onSelect.current,
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
  const description = losses.length > 1 ? `from ${measure(losses[0])} to ${measure(now)}` : 'no values yet';
  return (
    <span class="inline">
      <Sparkline values={losses} label={`Loss of ${name}: ${description}`} />
      <span class="jobs-loss-now">{measure(now)}</span>
    </span>
  );
}
