import type { Job } from '@graft/service/jobs';
import { contextOf, endSpan, instruments, type Span, startSpan, under } from '@graft/service/observe';
import { hasStepEvent } from './job-messages.ts';
import type { JobOutcome } from './settle-job.ts';
import type { TrainerRecord, TrainerRecordOf } from './trainer-protocol.ts';

/**
 * Records one attempt as metrics and as a trace. Its span is a child of the request that created the job. The steps from one checkpoint
 * to the next form a span, whose events are the steps that also get a job event.
 */
export class JobObserver {
  readonly #attempt: Span;
  readonly #began = performance.now();
  #stretch: Span | null = null;
  #stretchBegan = 0;
  #tokens: number | null = null;

  /** `job` was just claimed for `leaseSeconds`. */
  constructor(job: Job, { leaseSeconds }: { leaseSeconds: number }) {
    // Uses only Postgres's clock, which set leaseUntil at the claim.
    const claimed = job.leaseUntil ? job.leaseUntil.getTime() - leaseSeconds * 1000 : Date.now();
    const waited = Math.max(0, (claimed - job.runAfter.getTime()) / 1000);
    instruments.queueWaitSeconds.observe(waited);
    this.#attempt = startSpan('job attempt', {
      parent: contextOf(job.traceContext),
      attributes: {
        'graft.job_id': job.id,
        'graft.team_id': job.teamId,
        'graft.worker_id': job.workerId ?? '',
        'graft.lease_epoch': job.leaseEpoch,
        'graft.attempt': job.attempts,
        'graft.queue_wait_seconds': waited,
        'graft.model': job.model,
      },
    });
  }

  record(record: TrainerRecord): void {
    switch (record.type) {
      case 'start':
        this.#attempt.addEvent('start', {
          resumed_from: record.resumedFrom ?? 0,
          total_steps: record.totalSteps,
          precision: record.precision,
        });
        break;
      case 'step':
        this.#step(record);
        break;
      case 'evaluation':
        this.#attempt.addEvent('evaluation', { step: record.step, loss: record.loss });
        break;
      case 'checkpoint':
        instruments.checkpoints.inc();
        instruments.checkpointSeconds.observe(record.seconds);
        this.#stretch?.addEvent('checkpoint', { step: record.step, seconds: record.seconds });
        this.#endStretch(record.step);
        break;
      case 'stopped':
      case 'done':
        this.#endStretch(record.type === 'stopped' ? record.step : record.steps);
        break;
    }
  }

  end(outcome: JobOutcome): void {
    this.#endStretch(null);
    instruments.attempts.inc({ outcome });
    instruments.attemptSeconds.observe({ outcome }, (performance.now() - this.#began) / 1000);
    if (outcome === 'fenced') instruments.fencedWrites.inc();
    this.#attempt.setAttribute('graft.outcome', outcome);
    endSpan(this.#attempt, outcome === 'failed' || outcome === 'fenced' ? outcome : undefined);
  }

  #step(record: TrainerRecordOf<'step'>): void {
    instruments.steps.inc();
    // Tokens are cumulative over all attempts, so the first record of a resumed job gives no difference.
    if (this.#tokens !== null || record.step === 1)
      instruments.tokens.inc(Math.max(0, record.tokens - (this.#tokens ?? 0)));
    this.#tokens = record.tokens;
    if (!this.#stretch) {
      this.#stretchBegan = record.step;
      this.#stretch = startSpan('training steps', {
        parent: under(this.#attempt),
        attributes: { 'graft.first_step': record.step },
      });
    }
    if (hasStepEvent(record)) {
      this.#stretch.addEvent('step', {
        step: record.step,
        loss: record.loss,
        tokens_per_second: record.tokensPerSecond,
      });
    }
  }

  #endStretch(step: number | null): void {
    if (!this.#stretch) return;
    if (step !== null) {
      this.#stretch.setAttribute('graft.last_step', step);
      this.#stretch.setAttribute('graft.steps', step - this.#stretchBegan + 1);
    }
    this.#stretch.end();
    this.#stretch = null;
  }
}
