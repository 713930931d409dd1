import type { FineTuningJob } from '@graft/client';
import { Meter } from '../../components/lists/meter.tsx';
import { Status } from '../../components/status.tsx';
import { Time } from '../../components/time.tsx';
import { isOver } from '../../data/jobs.ts';
import { count, counted, percent } from '../../text/numbers.ts';

/** 0 to 1; null before it has begun. */
export function partDone({ status, progress, validation }: FineTuningJob): number | null {
  if (status === 'validating_files')
    return validation && validation.bytes / Math.max(1, validation.total_bytes);
  return progress && progress.step / Math.max(1, progress.total_steps);
}

/** Its status, and how far it has come with what it does now. Always two lines. */
export function JobStanding({ job }: { job: FineTuningJob }) {
  const part = partDone(job);
  return (
    <span class="job-standing">
      <Status status={job.status} done={part} />
      <span class="job-progress small soft">
        {part !== null && !isOver(job.status) && <Meter value={part} label={`${percent(part)} done`} />}
        <span class="cut" title={besides(job)}>
          {besides(job)}
        </span>
      </span>
    </span>
  );
}

function besides({
  status,
  progress,
  validation,
  queue_position: position,
  error,
  training_end: end,
}: FineTuningJob): string {
  switch (status) {
    case 'validating_files':
      return validation ? counted(validation.examples, 'example') : 'waits for its turn';
    case 'queued':
      return position === null
        ? ''
        : position === 1
          ? 'next in the queue'
          : `place ${count(position)} in the queue`;
    case 'failed':
      return error?.code.replaceAll('_', ' ') ?? '';
    case 'succeeded':
      return end?.reason === 'early_stopping' ? `stopped early at ${count(end.step)}` : stepsOf(progress);
    default:
      return stepsOf(progress);
  }
}

const stepsOf = (progress: FineTuningJob['progress']): string =>
  progress === null ? '' : `${count(progress.step)} of ${count(progress.total_steps)} steps`;

/** When it ended, or should end, or begin. */
export function JobEnd({ job }: { job: FineTuningJob }) {
  if (job.finished_at !== null) return <Time at={job.finished_at} />;
  if (job.estimated_finish !== null)
    return (
      <>
        about <Time at={job.estimated_finish} form="clock" />
      </>
    );
  if (job.estimated_start !== null)
    return (
      <>
        begins <Time at={job.estimated_start} form="clock" />
      </>
    );
  return <span class="soft">–</span>;
}
