import type { FineTuningJob } from '@graft/client';
import { Link } from 'wouter-preact';
import { Sparkline } from '../../components/chart/sparkline.tsx';
import { Table } from '../../components/table.tsx';
import { useNames } from '../../data/people.ts';
import { jobName, methodName } from '../../text/job-names.ts';
import { measure } from '../../text/numbers.ts';
import { JobActions } from './job-actions.tsx';
import { JobEnd, JobStanding } from './job-standing.tsx';

/** Jobs that can be laid over one another. */
const mostPicked = 8;

interface JobTableProps {
  jobs: readonly FineTuningJob[];
  losses: ReadonlyMap<string, number[]>;
  picked: readonly string[];
  onPicked: (picked: readonly string[]) => void;
}

export function JobTable({ jobs, losses, picked, onPicked }: JobTableProps) {
  const { nameOf } = useNames();
  const pick = (id: string, isPicked: boolean) =>
    onPicked(isPicked ? [...picked, id].slice(-mostPicked) : picked.filter((each) => each !== id));
  return (
    <Table
      label="Jobs"
      rows={jobs}
      rowKey={({ id }) => id}
      minWidth="58rem"
      columns={[
        {
          head: <span class="visually-hidden">Compare</span>,
          width: '2.75rem',
          cell: (job) => (
            <input
              type="checkbox"
              class="jobs-pick"
              aria-label={`Compare ${jobName(job)}`}
              checked={picked.includes(job.id)}
              onChange={(event) => pick(job.id, event.currentTarget.checked)}
            />
          ),
        },
        {
          head: 'Job',
          names: true,
          cell: (job) => (
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
        { head: 'Status', width: '13rem', cell: (job) => <JobStanding job={job} /> },
        {
          head: 'Loss',
          width: '10.5rem',
          cell: (job) => (
            <Loss name={jobName(job)} losses={losses.get(job.id) ?? []} last={job.progress?.loss} />
          ),
        },
        {
          head: 'Owner',
          width: '7.5rem',
          cell: ({ created_by: by }) => (
            <span class="cut" title={by ?? undefined}>
              {by === null ? '–' : nameOf(by)}
            </span>
          ),
        },
        { head: 'End', width: '7.5rem', cell: (job) => <JobEnd job={job} /> },
        {
          head: <span class="visually-hidden">Actions</span>,
          width: '7.5rem',
          end: true,
          cell: (job) => <JobActions job={job} isSmall />,
        },
      ]}
    />
  );
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
  return (
    <span class="jobs-loss">
      <Sparkline
        values={losses}
        label={
          losses.length > 1
            ? `Loss of ${name}: from ${measure(losses[0])} to ${measure(now)}`
            : `Loss of ${name}: none yet`
        }
      />
      <span>{measure(now)}</span>
    </span>
  );
}
