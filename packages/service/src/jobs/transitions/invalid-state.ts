import { GraftError } from '@graft/peft-core/config';
import { type JobState, wireStatus } from '../job.ts';

/** 400, not 409: clients retry a 409. */
export function invalidState(verb: 'cancel' | 'pause' | 'resume', state: JobState): GraftError {
  return new GraftError('invalid_job_state', `A job in state ${wireStatus(state)} cannot ${verb}.`, {
    param: null,
  });
}
