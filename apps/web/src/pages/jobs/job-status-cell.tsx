import type { FineTuningJob } from '@graft/client';
import { Cut } from '../../components/cut.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Status } from '../../components/status.tsx';
import { Time } from '../../components/time.tsx';
import { isFinished } from '../../data/jobs.ts';
import { count, counted, percent } from '../../text/numbers.ts';

/** Progress of validation or training, 0 to 1; null before it starts. */
export function jobProgress({ status, progress, validation }: FineTuningJob): number | null {
  if (status === 'validating_files')
    return validation && validation.bytes / Math.max(1, validation.total_bytes);
  return progress && progress.step / Math.max(1, progress.total_steps);
}

/** A job's status and progress, always on two lines. */
export function JobStatusCell({ job }: { job: FineTuningJob }) {
  const progress = jobProgress(job);
  return (
    <span class="job-status tight">
      <Status status={job.status} done={progress} />
      <span class="job-progress inline small soft">
        {progress !== null && !isFinished(job.status) && (
          <Meter value={progress} label={`${percent(progress)} done`} />
        )}
        <Cut text={statusDetails(job)} />
      </span>
    </span>
  );
}

function statusDetails({
  status,
  progress,
  validation,
  queue_position: position,
  error,
  training_end: end,
}: FineTuningJob): string {
  switch (status) {
    case 'validating_files':
      return validation ? counted(validation.examples, 'example') : 'waiting to start';
    case 'queued':
      return position === null ? '' : queueText(position);
    case 'failed':
      return error?.code.replaceAll('_', ' ') ?? '';
    case 'succeeded':
      return end?.reason === 'early_stopping' ? `stopped early at ${count(end.step)}` : formatSteps(progress);
    default:
      return formatSteps(progress);
  }
}

export const queueText = (position: number): string =>
  position === 1 ? 'next in the queue' : `position ${count(position)} in the queue`;

const formatSteps = (progress: FineTuningJob['progress']): string =>
  progress === null ? '' : `${count(progress.step)} of ${count(progress.total_steps)} steps`;

/** When the job finished, or the estimated finish or start. */
export function JobEnd({ job }: { job: FineTuningJob }) {
  if (job.finished_at !== null) return <Time at={job.finished_at} />;
  if (job.estimated_finish !== null) return <Time at={job.estimated_finish} form="clock" prefix="about" />;
  if (job.estimated_start !== null) return <Time at={job.estimated_start} form="clock" prefix="starts" />;
  return <span class="soft">–</span>;
}
