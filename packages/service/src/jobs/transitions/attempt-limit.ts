/** Attempts that may be lost since the last new checkpoint; the last of them fails the job. */
export const attemptLimit = 3;

/** SQL: when a job that lost an attempt may run again: 1 s, 4 s, … after the first, second, … */
export const retryAfter = `now() + make_interval(secs => least(power(4, attempts_since_checkpoint - 1), 60))`;
