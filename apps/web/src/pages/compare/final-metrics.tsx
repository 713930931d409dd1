import type { JobMetric } from '@graft/client';
import { Link } from 'wouter-preact';
import { Swatch } from '../../components/chart/chart.tsx';
import { IconButton } from '../../components/forms/button.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Status } from '../../components/status.tsx';
import { count, measure, percent, rough } from '../../text/numbers.ts';
import { partDone } from '../jobs/job-standing.tsx';
import { type Compared, namesOf } from './compared-lines.ts';

/** How each ended, or stands: also the legend of the charts. */
export function FinalMetrics({
  compared,
  onRemove,
}: {
  compared: readonly Compared[];
  onRemove: (id: string) => void;
}) {
  const names = namesOf(compared);
  const rows = compared.map((each, i) => ({ ...each, name: names[i]!, ...ends(each.series) }));
  return (
    <Table
      label="Final metrics"
      minWidth="62rem"
      rows={rows}
      rowKey={({ job }) => job.id}
      columns={[
        {
          head: 'Job',
          names: true,
          cell: ({ job, name, colour }) => (
            <span class="beside">
              <Swatch colour={colour} />
              <Link href={`/jobs/${job.id}`} class="cut" title={job.id}>
                {name}
              </Link>
            </span>
          ),
        },
        {
          head: 'Status',
          width: '8.5rem',
          cell: ({ job }) => <Status status={job.status} done={partDone(job)} />,
        },
        { head: 'Last loss', end: true, width: '6rem', cell: ({ last }) => measure(last?.loss) },
        { head: 'Best evaluation', end: true, width: '8.5rem', cell: ({ best }) => measure(best?.loss) },
        { head: 'at step', end: true, width: '5rem', cell: ({ best }) => count(best?.step) },
        {
          head: 'Accuracy',
          end: true,
          width: '6rem',
          cell: ({ best, last }) => percent((best ?? last)?.token_accuracy),
        },
        {
          head: 'Tokens',
          end: true,
          width: '5.5rem',
          cell: ({ job }) => rough(job.trained_tokens ?? job.progress?.tokens),
        },
        {
          head: 'Tokens/s',
          end: true,
          width: '6rem',
          cell: ({ job }) => rough(job.progress?.tokens_per_second),
        },
        {
          head: <span class="visually-hidden">Take away</span>,
          end: true,
          width: '3.5rem',
          cell: ({ job, name }) => (
            <IconButton label={`Take ${name} away`} icon="close" small onClick={() => onRemove(job.id)} />
          ),
        },
      ]}
    />
  );
}

function ends(series: Compared['series']): { last: JobMetric | null; best: JobMetric | null } {
  const last = series.findLast(({ kind }) => kind === 'train') ?? null;
  const evaluations = series.filter(({ kind }) => kind === 'evaluation');
  const best = evaluations.reduce<JobMetric | null>((a, b) => (a === null || b.loss < a.loss ? b : a), null);
  return { last, best };
}
