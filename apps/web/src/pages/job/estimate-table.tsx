import type { FineTuningJob, JobAttempt } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Table } from '../../components/lists/table.tsx';
import { graft } from '../../data/graft.ts';
import { bytes, count, rough } from '../../text/numbers.ts';
import { span } from '../../text/times.ts';
import type { VersionMetrics } from './version-metrics.ts';

/** What the job was estimated to come to, beside what it came to. */
export function EstimateTable({ job, metrics }: { job: FineTuningJob; metrics: VersionMetrics | null }) {
  const { data: attempts } = useQuery({
    queryKey: ['attempts', job.id],
    queryFn: () => graft.fineTuning.jobs.attempts(job.id, { limit: 1000 }),
  });
  const { estimate, progress, trained_tokens: tokens } = job;
  if (!estimate) return null;
  const rows: [string, string, string][] = [
    ['Trained parameters', rough(estimate.trainable_parameters), rough(metrics?.parameters?.trainable)],
    ['Peak memory', bytes(estimate.peak_memory_bytes), bytes(metrics?.peak_memory_bytes)],
    ['Steps', count(estimate.steps), count(job.training_end?.step ?? progress?.step)],
    ['Tokens', rough(estimate.tokens), rough(tokens ?? progress?.tokens)],
    ['Time', span(estimate.seconds), span(attempts && timeTrained(attempts.data))],
  ];
  return (
    <section class="panel">
      <h2>Estimate and actual</h2>
      <Table
        label="Estimate and actual"
        minWidth="24rem"
        rows={rows}
        rowKey={([name]) => name}
        columns={[
          { head: 'What', names: true, cell: ([name]) => name },
          { head: 'Estimated', end: true, cell: ([, estimated]) => estimated },
          { head: 'Actual', end: true, cell: ([, , actual]) => actual },
        ]}
      />
      <p class="small soft">
        Estimated for {estimate.device === 'gpu' ? 'a GPU' : 'CPU'} and {estimate.precision}. Memory is told
        by the adapter when it is published.
      </p>
    </section>
  );
}

/** Seconds that workers trained it, those that were lost included. Null: none has. */
function timeTrained(attempts: readonly JobAttempt[]): number | null {
  const trainings = attempts.filter(({ kind }) => kind === 'training');
  if (trainings.length === 0) return null;
  const now = Date.now() / 1000;
  return trainings.reduce((sum, { started_at, ended_at }) => sum + (ended_at ?? now) - started_at, 0);
}
