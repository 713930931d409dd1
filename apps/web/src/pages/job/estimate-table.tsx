import type { FineTuningJob, JobAttempt } from '@graft/client';
import { Table } from '../../components/lists/table.tsx';
import { useAttempts } from '../../data/jobs.ts';
import { bytes, compact, count } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';
import type { VersionMetrics } from './version-metrics.ts';

/** The job's estimate next to the actual values. */
export function EstimateTable({ job, metrics }: { job: FineTuningJob; metrics: VersionMetrics | null }) {
  const { data: attempts } = useAttempts(job.id);
  const { estimate, progress, trained_tokens: tokens } = job;
  if (!estimate) return null;
  const rows: [string, string, string][] = [
    ['Trainable parameters', compact(estimate.trainable_parameters), compact(metrics?.parameters?.trainable)],
    ['Peak memory', bytes(estimate.peak_memory_bytes), bytes(metrics?.peak_memory_bytes)],
    ['Steps', count(estimate.steps), count(job.training_end?.step ?? progress?.step)],
    ['Tokens', compact(estimate.tokens), compact(tokens ?? progress?.tokens)],
    ['Time', duration(estimate.seconds), duration(attempts && timeTrained(attempts.data))],
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
          { head: 'Metric', cell: ([name]) => name },
          { head: 'Estimated', end: true, cell: ([, estimated]) => estimated },
          { head: 'Actual', end: true, cell: ([, , actual]) => actual },
        ]}
      />
      <p class="small soft">
        Estimated for {estimate.device === 'gpu' ? 'a GPU' : 'CPU'} and {estimate.precision}. Actual memory is
        reported when the adapter is published.
      </p>
    </section>
  );
}

/** Seconds of training in all attempts, including lost ones. Null: not trained yet. */
function timeTrained(attempts: readonly JobAttempt[]): number | null {
  const trainings = attempts.filter(({ kind }) => kind === 'training');
  if (trainings.length === 0) return null;
  const now = Date.now() / 1000;
  return trainings.reduce((sum, { started_at, ended_at }) => sum + (ended_at ?? now) - started_at, 0);
}
