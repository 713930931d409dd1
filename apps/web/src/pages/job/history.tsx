import type { FineTuningJob, JobAttempt, JobOutlook } from '@graft/client';
import { Cut } from '../../components/cut.tsx';
import { type Column, Table } from '../../components/lists/table.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { LongText } from '../../components/long-text.tsx';
import { Time } from '../../components/time.tsx';
import { useAttempts } from '../../data/jobs.ts';
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

export const History = ({ job }: { job: FineTuningJob }) => (
  <section class="panel" aria-label="History">
    <Loaded query={useAttempts(job.id)}>
      {({ data: attempts, outlook }) => (
        <>
          <p>{summarize(attempts)}</p>
          {outlook && <Forecast outlook={outlook} />}
          <Table
            label="Attempts"
            minWidth="58rem"
            rows={attempts}
            rowKey={({ id }) => id}
            columns={columns}
          />
        </>
      )}
    </Loaded>
  </section>
);

const columns: readonly Column<JobAttempt>[] = [
  {
    head: 'Phase',
    width: '8rem',
    cell: ({ kind }) => (kind === 'training' ? 'Training' : 'Validating files'),
  },
  { head: 'Worker', cell: ({ worker }) => <Cut text={worker} /> },
  { head: 'Started', width: '8rem', cell: ({ started_at: at }) => <Time at={at} /> },
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
];

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

function formatSteps({ from_step: from, last_step: last }: JobAttempt): string {
  if (last === null) return from ? `from ${count(from)}` : '–';
  return `${count(from ?? 0)} to ${count(last)}`;
}

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
