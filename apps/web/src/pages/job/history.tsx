import type { FineTuningJob, JobAttempt, JobOutlook } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Table } from '../../components/lists/table.tsx';
import { LongText } from '../../components/long-text.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { count } from '../../text/numbers.ts';
import { exactly, span } from '../../text/times.ts';

const outcomes: Record<NonNullable<JobAttempt['outcome']>, string> = {
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  paused: 'paused',
  released: 'handed on by its worker',
  lost: 'lost: its worker died or was cut off',
  environment: 'its worker could not run it',
};

/** Who worked on it from when to when, and what happens next. */
export function History({ job }: { job: FineTuningJob }) {
  const { data, error, refetch } = useQuery({
    queryKey: ['attempts', job.id],
    queryFn: () => graft.fineTuning.jobs.attempts(job.id, { limit: 1000 }),
  });
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data) return <Waiting />;
  return (
    <section class="panel" aria-label="History">
      <p>{summaryOf(data.data)}</p>
      {data.outlook && <Outlook outlook={data.outlook} />}
      <Table
        label="Attempts"
        minWidth="58rem"
        rows={data.data}
        rowKey={({ id }) => id}
        columns={[
          {
            head: 'What',
            names: true,
            width: '8rem',
            cell: ({ kind }) => (kind === 'training' ? 'Training' : 'Checking files'),
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
            head: 'Began',
            width: '8rem',
            cell: ({ started_at: at }) => (
              <span title={exactly(at)}>
                <Time at={at} />
              </span>
            ),
          },
          {
            head: 'Took',
            width: '8rem',
            cell: ({ started_at: from, ended_at: to }) => (to === null ? 'under way' : span(to - from)),
          },
          { head: 'Steps', width: '9rem', cell: stepsOf },
          {
            head: 'End',
            width: '15rem',
            cell: ({ outcome, reason }) => <End outcome={outcome} reason={reason} />,
          },
        ]}
      />
    </section>
  );
}

function summaryOf(attempts: readonly JobAttempt[]): string {
  const trainings = attempts.filter(({ kind }) => kind === 'training');
  const lost = attempts.filter(({ outcome }) => outcome === 'lost').length;
  if (trainings.length === 0) return 'No worker has begun to train it yet.';
  if (lost === 0)
    return trainings.length === 1
      ? 'It was trained without interruption.'
      : `It was taken up ${count(trainings.length)} times, and no attempt was lost.`;
  return `${count(lost)} of its ${count(attempts.length)} attempts ${lost === 1 ? 'was' : 'were'} lost; each time it went on from its last checkpoint, with the same numbers as without.`;
}

const stepsOf = ({ from_step: from, last_step: last }: JobAttempt): string =>
  last === null ? (from ? `from ${count(from)}` : '–') : `${count(from ?? 0)} to ${count(last)}`;

const End = ({ outcome, reason }: Pick<JobAttempt, 'outcome' | 'reason'>) => (
  <>
    {outcome ? outcomes[outcome] : '–'}
    {reason && (
      <div class="small soft">
        <LongText text={reason} />
      </div>
    )}
  </>
);

function Outlook({ outlook }: { outlook: JobOutlook }) {
  const { run_after: after, has_worker: hasWorker, attempts_left: left, requirements: needs } = outlook;
  return (
    <p class="soft">
      {!hasWorker && 'No worker that takes jobs now can run it. '}
      {after !== null && (
        <>
          It waits until <Time at={after} form="clock" />.{' '}
        </>
      )}
      {needs &&
        `It goes on only where its numbers stay the same: ${needs.gpu ?? needs.device}, ${needs.precision}, ${needs.threads} threads, kernels ${needs.kernels}. `}
      {`${count(left)} more attempts may be lost before a new checkpoint.`}
    </p>
  );
}
