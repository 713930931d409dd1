-- The options of the job that a report is for. NULL: default options, as in every report from before.
ALTER TABLE "file_reports" ADD COLUMN "job" JSONB;
