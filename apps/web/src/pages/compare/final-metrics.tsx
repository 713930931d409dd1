import type { JobMetric } from '@graft/client';
import { Swatch } from '../../components/chart/legend.tsx';
import { Cut } from '../../components/cut.tsx';
import { IconButton } from '../../components/forms/button.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Status } from '../../components/status.tsx';
import { compact, count, measure, percent } from '../../text/numbers.ts';
import { jobProgress } from '../jobs/job-status-cell.tsx';
import { type Compared, uniqueNames } from './compared-lines.ts';

/** Status and metrics of each job; also the legend of the charts. */
export function FinalMetrics({
  compared,
  onRemove,
}: {
  compared: readonly Compared[];
  onRemove: (id: string) => void;
}) {
  const names = uniqueNames(compared);
  const rows = compared.map((each, i) => ({ ...each, name: names[i]!, ...lastAndBest(each.series) }));
  return (
    <Table
      label="Final metrics"
      minWidth="62rem"
      rows={rows}
      rowKey={({ job }) => job.id}
      columns={[
        {
          head: 'Job',
          cell: ({ job, name, colour }) => (
            <span class="inline">
              <Swatch colour={colour} />
              <Cut text={name} title={job.id} href={`/jobs/${job.id}`} />
            </span>
          ),
        },
        {
          head: 'Status',
          width: '9.5rem',
          cell: ({ job }) => <Status status={job.status} done={jobProgress(job)} />,
        },
        { head: 'Last loss', end: true, width: '6rem', cell: ({ last }) => measure(last?.loss) },
        { head: 'Best evaluation', end: true, width: '8.5rem', cell: ({ best }) => measure(best?.loss) },
        { head: 'At step', end: true, width: '5rem', cell: ({ best }) => count(best?.step) },
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
          cell: ({ job }) => compact(job.trained_tokens ?? job.progress?.tokens),
        },
        {
          head: 'Tokens/s',
          end: true,
          width: '6rem',
          cell: ({ job }) => compact(job.progress?.tokens_per_second),
        },
        {
          width: '3.5rem',
          actions: ({ job, name }) => (
            <IconButton label={`Remove ${name}`} icon="close" small onClick={() => onRemove(job.id)} />
          ),
        },
      ]}
    />
  );
}

function lastAndBest(series: Compared['series']): { last: JobMetric | null; best: JobMetric | null } {
  const last = series.findLast(({ kind }) => kind === 'train') ?? null;
  const evaluations = series.filter(({ kind }) => kind === 'evaluation');
  const best = evaluations.reduce<JobMetric | null>((a, b) => (a === null || b.loss < a.loss ? b : a), null);
  return { last, best };
}
