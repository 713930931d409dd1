-- What served processes older than the last version before 1.0.0, which may not run beside this one.

-- The columns of metrics that they wrote, always null since: the values are in `metrics`.
DROP TRIGGER job_metrics_by_name ON job_metrics;
DROP FUNCTION graft_metrics_by_name();
ALTER TABLE job_metrics DROP COLUMN token_accuracy, DROP COLUMN learning_rate, DROP COLUMN grad_norm, DROP COLUMN tokens_per_second,
    DROP COLUMN memory_bytes;

-- They did not know the trials of sweeps.
DROP TRIGGER jobs_guard_sweep ON jobs;
DROP FUNCTION graft_guard_sweep();
