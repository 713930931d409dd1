-- The columns that processes older than the last version before 1.0.0 wrote, always null since: their values are in `metrics`.
DROP TRIGGER job_metrics_by_name ON job_metrics;
DROP FUNCTION graft_metrics_by_name();
ALTER TABLE job_metrics DROP COLUMN token_accuracy, DROP COLUMN learning_rate, DROP COLUMN grad_norm, DROP COLUMN tokens_per_second,
    DROP COLUMN memory_bytes;
