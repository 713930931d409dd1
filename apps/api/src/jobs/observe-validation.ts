import type { Job } from '@graft/service/jobs';
import { contextOf, endSpan, inSpan, instruments, startSpan } from '@graft/service/observe';

/**
 * Times a validation and records it in the trace of the request that created the job. `validate` returns the resulting state of the job,
 * or how the validation ended otherwise.
 */
export async function observeValidation(job: Job, validate: () => Promise<string>): Promise<void> {
  const began = performance.now();
  const span = startSpan('job validation', {
    parent: contextOf(job.traceContext),
    attributes: { 'graft.job_id': job.id, 'graft.team_id': job.teamId, 'graft.lease_epoch': job.leaseEpoch },
  });
  let outcome = 'crashed';
  try {
    outcome = await inSpan(span, validate);
  } finally {
    instruments.validationSeconds.observe({ outcome }, (performance.now() - began) / 1000);
    span.setAttribute('graft.outcome', outcome);
    endSpan(span, outcome === 'crashed' ? outcome : undefined);
  }
}
