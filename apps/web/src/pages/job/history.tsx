import type { FineTuningJob, JobAttempt, JobOutlook } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Table } from '../../components/lists/table.tsx';
import { LongText } from '../../components/long-text.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { count } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';

const outcomes: Record<NonNullable<JobAttempt['outcome']>, string> = {
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  paused: 'paused',
  released: 'released',
  lost: 'lost: worker stopped or unreachable',
  environment: 'not supported by the worker',
};

/** The job's attempts, and when it runs next. */
export function History({ job }: { job: FineTuningJob }) {
  const { data, error, refetch } = useQuery({
    queryKey: ['attempts', job.id],
    queryFn: () => graft.fineTuning.jobs.attempts(job.id, { limit: 1000 }),
  });
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data) return <Waiting />;
  return (
    <section class="panel" aria-label="History">
      <p>{summarize(data.data)}</p>
      {data.outlook && <Forecast outlook={data.outlook} />}
      <Table
        label="Attempts"
        minWidth="58rem"
        rows={data.data}
        rowKey={({ id }) => id}
        columns={[
          {
            head: 'Phase',
            isRowHeader: true,
            width: '8rem',
            cell: ({ kind }) => (kind === 'training' ? 'Training' : 'Validating files'),
          },
          {
            head: 'Worker',
            cell: ({ worker }) => (
              <span class="cut" title={worker}>
                {worker}
              </span>
            ),
          },
          {
            head: 'Started',
            width: '8rem',
            cell: ({ started_at: at }) => <Time at={at} />,
          },
          {
            head: 'Duration',
            width: '8rem',
            cell: ({ started_at: from, ended_at: to }) => (to === null ? 'in progress' : duration(to - from)),
          },
          { head: 'Steps', width: '9rem', cell: formatSteps },
          {
            head: 'Outcome',
            width: '15rem',
            cell: ({ outcome, reason }) => <Outcome outcome={outcome} reason={reason} />,
          },
        ]}
      />
    </section>
  );
}

function summarize(attempts: readonly JobAttempt[]): string {
  const trainings = attempts.filter(({ kind }) => kind === 'training');
  const lost = attempts.filter(({ outcome }) => outcome === 'lost').length;
  if (trainings.length === 0) return 'Training has not started.';
  if (lost === 0)
    return trainings.length === 1
      ? 'Trained without interruption.'
      : `${count(trainings.length)} attempts, none lost.`;
  return `${count(lost)} of ${count(attempts.length)} attempts ${lost === 1 ? 'was' : 'were'} lost. Each time the job resumed from its last checkpoint, with the same results as without interruption.`;
}

const formatSteps = ({ from_step: from, last_step: last }: JobAttempt): string =>
  last === null ? (from ? `from ${count(from)}` : '–') : `${count(from ?? 0)} to ${count(last)}`;

const Outcome = ({ outcome, reason }: Pick<JobAttempt, 'outcome' | 'reason'>) => (
  <>
    {outcome ? outcomes[outcome] : '–'}
    {reason && (
      <div class="small soft">
        <LongText text={reason} />
      </div>
    )}
  </>
);

function Forecast({ outlook }: { outlook: JobOutlook }) {
  const { run_after: after, has_worker: hasWorker, attempts_left: left, requirements: needs } = outlook;
  return (
    <p class="soft">
      {!hasWorker && 'No available worker can run this job. '}
      {after !== null && (
        <>
          Next attempt: <Time at={after} form="clock" />.{' '}
        </>
      )}
      {needs &&
        `It resumes only on workers that give the same results: ${needs.gpu ?? needs.device}, ${needs.precision}, ${needs.threads} threads, kernels ${needs.kernels}. `}
      {`The job fails if ${count(left)} more attempts are lost before a new checkpoint.`}
    </p>
  );
}
