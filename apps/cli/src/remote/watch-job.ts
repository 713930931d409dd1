import { setTimeout as sleep } from 'node:timers/promises';
import type { FineTuningJob, GraftClient, JobEvent, JobMetric } from '@graft/client';
import { eventText } from '../draw/event-text.ts';
import { printable } from '../draw/printable.ts';
import { bytes, duration } from '../draw/quantities.ts';
import { TrainingDisplay } from '../draw/training-display.ts';
import { endOfJob } from '../draw/training-end.ts';
import type { TrainingState } from '../draw/training-view.ts';
import { catchInterrupts, INTERRUPTED } from '../interrupts.ts';
import type { Output } from '../output.ts';
import { failureAdvice } from './explain-job.ts';

const POLL_MS = 1_000;
/** After a job's end, its last events may still arrive for this long. */
const LAST_EVENTS_MS = 3_000;
const finalStatuses = new Set(['succeeded', 'failed', 'cancelled']);

/**
 * Follows a job until it ends and returns the exit code. With --json, prints every event, metric and job change as one line on
 * stdout: {"type": "event" | "metric" | "job", …}.
 */
export async function watchJob(client: GraftClient, id: string, output: Output): Promise<number> {
  const interrupts = catchInterrupts();
  const { signal } = interrupts;
  const hint = 'Ctrl-C detaches; the job keeps running.';
  const display = new TrainingDisplay(process.stderr, { hint });
  const ended = new AbortController();
  let events: Promise<void> = Promise.resolve();
  try {
    // Fails for an unknown job before anything is drawn.
    let job = await client.fineTuning.jobs.retrieve(id, { signal });
    events = followEvents(client, id, AbortSignal.any([signal, ended.signal]), (event) => {
      if (output.json) output.line({ type: 'event', event });
      else if (event.type === 'message') display.say(eventLine(event));
    });
    const series = new MetricSeries(client, id);
    let before = '';
    for (;;) {
      const news = await series.refresh(job, signal);
      for (const metric of news) output.line({ type: 'metric', metric });
      const snapshot = JSON.stringify(job);
      if (snapshot !== before) output.line({ type: 'job', job });
      before = snapshot;
      display.update(stateOf(job, series));
      if (finalStatuses.has(job.status)) break;
      await sleep(POLL_MS, undefined, { signal });
      job = await client.fineTuning.jobs.retrieve(id, { signal });
    }
    await Promise.race([events, sleep(LAST_EVENTS_MS, undefined, { ref: false })]);
    display.close();
    return await finish(client, job, output);
  } catch (error) {
    display.close();
    if (!signal.aborted) throw error;
    output.note(
      `Detached; the job keeps running.\nFollow it again with: graft jobs watch ${id}\nCancel it with:       graft jobs cancel ${id}`,
    );
    return INTERRUPTED;
  } finally {
    ended.abort();
    await events;
    interrupts.release();
  }
}

/** Adds events to what polling shows. When the stream fails, polling continues. */
async function followEvents(
  client: GraftClient,
  id: string,
  signal: AbortSignal,
  onEvent: (event: JobEvent) => void,
): Promise<void> {
  try {
    for await (const event of client.fineTuning.jobs.events.stream(id, { signal })) onEvent(event);
  } catch (error) {
    if (!signal.aborted) process.stderr.write(`The event stream ended: ${(error as Error).message}\n`);
  }
}

/** The loss series, fetched incrementally. */
class MetricSeries {
  readonly #client: GraftClient;
  readonly #id: string;
  /** Metrics by step. */
  readonly train = new Map<number, JobMetric>();
  readonly evaluation = new Map<number, JobMetric>();
  /** Last step of the metrics, which may be later than the job's progress. */
  #lastStep = 0;
  #lastProgress = 0;

  constructor(client: GraftClient, id: string) {
    this.#client = client;
    this.#id = id;
  }

  async refresh(job: FineTuningJob, signal: AbortSignal): Promise<JobMetric[]> {
    if (job.progress === null) return [];
    // A resumed job continues from its checkpoint, so the points are fetched again.
    if (job.progress.step < this.#lastProgress) {
      this.train.clear();
      this.evaluation.clear();
      this.#lastStep = 0;
    }
    this.#lastProgress = job.progress.step;
    // The last step is requested again, because its evaluation is later than its loss.
    const options = this.#lastStep > 1 ? { afterStep: this.#lastStep - 1, signal } : { signal };
    const fetched = await this.#client.fineTuning.jobs.metrics(this.#id, options);
    const news = fetched.filter(({ kind, step }) => !this[kind].has(step));
    for (const metric of news) {
      this[metric.kind].set(metric.step, metric);
      this.#lastStep = Math.max(this.#lastStep, metric.step);
    }
    return news;
  }
}

function stateOf(job: FineTuningJob, series: MetricSeries): TrainingState {
  const epochs = job.hyperparameters.n_epochs;
  const running = job.status === 'running';
  return {
    title: `${job.id}  ${job.model}`,
    status: statusOf(job),
    step: job.progress?.step ?? 0,
    totalSteps: job.progress?.total_steps ?? null,
    epoch: job.progress?.epoch ?? null,
    epochs: typeof epochs === 'number' ? epochs : null,
    tokens: job.trained_tokens ?? job.progress?.tokens ?? null,
    tokensPerSecond: job.progress?.tokens_per_second ?? null,
    secondsRemaining: running ? (job.progress?.seconds_remaining ?? null) : null,
    training: [...series.train.values()],
    evaluation: [...series.evaluation.values()],
  };
}

function statusOf({ status, queue_position, validation }: FineTuningJob): string {
  if (queue_position !== null) return `${status}, number ${queue_position}`;
  if (!validation || validation.total_bytes === 0) return status;
  const percent = Math.floor((100 * validation.bytes) / validation.total_bytes);
  return `${status}, ${percent} % of ${bytes(validation.total_bytes)}`;
}

const eventLine = (event: JobEvent): string =>
  `${new Date(event.created_at * 1_000).toTimeString().slice(0, 8)}  ${eventText(event)}`;

/** Longer prompts, and those with several lines, are read from the job by a shell command. */
const longestOption = 300;

/** The option for the system prompt of the training examples, without which the adapter behaves differently. */
export function systemOption({
  id,
  system_prompt: prompt,
}: Pick<FineTuningJob, 'id' | 'system_prompt'>): string {
  // A server of an earlier version has no such field.
  if (prompt == null) return '';
  const isShort = prompt.length <= longestOption && printable(prompt) === prompt && !prompt.includes('\n');
  if (isShort) return ` --system '${prompt.replaceAll("'", `'\\''`)}'`;
  return ` --system "$(graft jobs get ${id} --json | jq -r .system_prompt)"`;
}

/** Prints the summary and returns the exit code. */
async function finish(client: GraftClient, job: FineTuningJob, output: Output): Promise<number> {
  if (output.json) return job.status === 'succeeded' ? 0 : 1;
  const { paint } = output;
  if (job.status === 'succeeded' && job.fine_tuned_model !== null) {
    const took = job.finished_at === null ? '' : ` in ${duration(job.finished_at - job.created_at)}`;
    const model = await client.models.retrieve(job.fine_tuned_model).catch(() => null);
    const adapter = model?.adapter ? `${model.adapter.id}, version ${model.adapter.version}` : null;
    const end = endOfJob(job);
    const lines = [
      '',
      `${paint.good('Succeeded')}${took}: ${paint.bold(job.fine_tuned_model)}`,
      ...(adapter === null ? [] : [`Adapter ${adapter}`]),
      ...(end === null ? [] : [`Training ended ${end}`]),
      '',
      'Next:',
      `  graft chat --model ${job.fine_tuned_model}${systemOption(job)} -m "Hello!"`,
      `  graft adapters download ${job.fine_tuned_model} --output my-adapter`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
    return 0;
  }
  if (job.status === 'cancelled') {
    process.stdout.write(`${paint.mark('Cancelled')}: ${job.id}\n`);
    return 1;
  }
  const reason = job.error === null ? '' : ` ${printable(job.error.message)} (${job.error.code})`;
  process.stdout.write(`${paint.bad('Failed')}:${reason}\n${failureAdvice(job)}\n`);
  return 1;
}
