import type { FineTuningJob } from '@graft/client';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Status } from '../../components/status.tsx';
import { Time } from '../../components/time.tsx';
import { useMemberNames } from '../../data/member-names.ts';
import { bytes, compact, count, counted, measure, percent } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';
import { jobProgress, queueText } from '../jobs/job-status-cell.tsx';

export function JobStatusPanel({ job }: { job: FineTuningJob }) {
  const { nameOf } = useMemberNames();
  const progress = jobProgress(job);
  const facts: Fact[] = [
    ...jobFacts(job),
    {
      name: 'Started by',
      value: job.created_by === null ? '–' : nameOf(job.created_by),
      note: <Time at={job.created_at} />,
    },
  ];
  return (
    <section class="job-status-panel panel card" aria-label="Status">
      <div class="job-status-head section-head">
        <Status status={job.status} done={progress} />
        <span class="soft">{statusDetails(job)}</span>
      </div>
      <Meter
        value={job.status === 'succeeded' ? 1 : (progress ?? 0)}
        label={`${percent(progress ?? 0)} done`}
      />
      <Facts facts={facts} />
    </section>
  );
}

function statusDetails(job: FineTuningJob) {
  const { status, progress, validation, estimated_start: start, estimated_start_latest: latest } = job;
  if (job.finished_at !== null) return <Time at={job.finished_at} prefix="finished" />;
  if (status === 'running' && progress?.seconds_remaining != null)
    return `${duration(progress.seconds_remaining)} left`;
  if (status === 'validating_files' && validation)
    return `${bytes(validation.bytes)} of ${bytes(validation.total_bytes)} read, ${counted(validation.examples, 'example')}`;
  if (status === 'queued' && job.queue_position !== null) {
    const place = queueText(job.queue_position);
    if (start === null) return place;
    return (
      <>
        {place}, <Time at={start} form="clock" prefix="starts about" />
        {latest !== null && (
          <>
            , <Time at={latest} form="clock" /> at the latest
          </>
        )}
      </>
    );
  }
  if (status === 'paused') return 'Resuming continues from the last checkpoint.';
  return '';
}

function jobFacts({ progress, trained_tokens: trained, priority, training }: FineTuningJob): Fact[] {
  // With max_steps, training ends within an epoch.
  const isWhole = 'n_epochs' in training && typeof training.n_epochs === 'number' && !training.max_steps;
  return [
    {
      name: 'Step',
      value: progress ? `${count(progress.step)} of ${count(progress.total_steps)}` : '–',
      note: progress && `epoch ${measure(progress.epoch)}${isWhole ? ` of ${training.n_epochs}` : ''}`,
    },
    { name: 'Loss', value: measure(progress?.loss), note: 'at the last step' },
    {
      name: 'Speed',
      value: progress ? `${compact(progress.tokens_per_second)} tokens/s` : '–',
      note: `${compact(trained ?? progress?.tokens ?? 0)} tokens trained`,
    },
    ...(progress?.gpu ? [gpuFact(progress.gpu)] : []),
    { name: 'Priority', value: priority },
  ];
}

/** Memory in use on the whole GPU, by all processes. */
function gpuFact(gpu: NonNullable<NonNullable<FineTuningJob['progress']>['gpu']>): Fact {
  const { model, memory_used_bytes: used, memory_total_bytes: total, utilization, temperature } = gpu;
  const notes = [
    model,
    ...(utilization === null ? [] : [`${percent(utilization)} busy`]),
    ...(temperature === null ? [] : [`${temperature} °C`]),
  ];
  return { name: 'GPU memory', value: `${bytes(used)} of ${bytes(total)}`, note: notes.join(', ') };
}
