-- The options of the job that a report is for. NULL: default options, as in every report from before.
ALTER TABLE file_reports ADD COLUMN job JSONB,
    ADD CONSTRAINT file_reports_job_length_check CHECK (length(job::text) <= 200000);

-- A report for a job waits in a state that processes of earlier versions do not claim, since they would compute it without the job.
ALTER TABLE file_reports DROP CONSTRAINT file_reports_status_check;
ALTER TABLE file_reports ADD CONSTRAINT file_reports_status_check
    CHECK (status IN ('running', 'running_for_job', 'ready', 'failed'));
