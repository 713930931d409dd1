import type { FineTuningJob } from '@graft/client';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Status } from '../../components/status.tsx';
import { Time } from '../../components/time.tsx';
import { isOver } from '../../data/jobs.ts';
import { useNames } from '../../data/people.ts';
import { bytes, count, counted, measure, percent, rough } from '../../text/numbers.ts';
import { span } from '../../text/times.ts';
import { partDone } from '../jobs/job-standing.tsx';

/** Where the job is, how long it still takes, and its latest numbers. */
export function Standing({ job }: { job: FineTuningJob }) {
  const { nameOf } = useNames();
  const part = partDone(job);
  const facts: Fact[] = [
    ...numbersOf(job),
    {
      name: 'Begun by',
      value: job.created_by === null ? '–' : nameOf(job.created_by),
      note: <Time at={job.created_at} />,
    },
  ];
  return (
    <section class="job-standing-panel" aria-label="How it stands">
      <div class="job-standing-head">
        <Status status={job.status} done={part} />
        <span class="soft">{timeLeft(job)}</span>
      </div>
      <Meter
        value={isOver(job.status) && job.status === 'succeeded' ? 1 : (part ?? 0)}
        label={`${percent(part ?? 0)} done`}
      />
      <Facts facts={facts} />
    </section>
  );
}

function timeLeft(job: FineTuningJob) {
  const {
    status,
    progress,
    validation,
    queue_position: position,
    estimated_start,
    estimated_start_latest,
  } = job;
  if (job.finished_at !== null)
    return (
      <>
        ended <Time at={job.finished_at} />
      </>
    );
  if (status === 'running' && progress?.seconds_remaining != null)
    return `${span(progress.seconds_remaining)} left`;
  if (status === 'validating_files' && validation)
    return `${bytes(validation.bytes)} of ${bytes(validation.total_bytes)} read, ${counted(validation.examples, 'example')}`;
  if (status === 'queued' && position !== null) {
    const place = position === 1 ? 'Next in the queue' : `Place ${count(position)} in the queue`;
    if (estimated_start === null) return place;
    return (
      <>
        {place}, begins about <Time at={estimated_start} form="clock" />
        {estimated_start_latest !== null && (
          <>
            , <Time at={estimated_start_latest} form="clock" /> at the latest
          </>
        )}
      </>
    );
  }
  if (status === 'paused') return 'It goes on from its last checkpoint when it is resumed.';
  return '';
}

function numbersOf({ progress, trained_tokens: trained, priority, training }: FineTuningJob): Fact[] {
  const epochs = 'n_epochs' in training && typeof training.n_epochs === 'number' ? training.n_epochs : null;
  return [
    {
      name: 'Step',
      value: progress ? `${count(progress.step)} of ${count(progress.total_steps)}` : '–',
      note: progress && `epoch ${measure(progress.epoch)}${epochs === null ? '' : ` of ${epochs}`}`,
    },
    { name: 'Loss', value: measure(progress?.loss), note: 'of the last step' },
    {
      name: 'Speed',
      value: progress ? `${rough(progress.tokens_per_second)} tokens/s` : '–',
      note: `${rough(trained ?? progress?.tokens ?? 0)} tokens trained`,
    },
    ...(progress?.gpu ? [gpuFact(progress.gpu)] : []),
    { name: 'Priority', value: priority },
  ];
}

/** Memory of the card that a job is computed on, which is not that of its process. */
function gpuFact(gpu: NonNullable<NonNullable<FineTuningJob['progress']>['gpu']>): Fact {
  const { model, memory_used_bytes: used, memory_total_bytes: total, utilization, temperature } = gpu;
  const notes = [
    model,
    ...(utilization === null ? [] : [`${percent(utilization)} busy`]),
    ...(temperature === null ? [] : [`${temperature} °C`]),
  ];
  return { name: 'GPU memory', value: `${bytes(used)} of ${bytes(total)}`, note: notes.join(', ') };
}
