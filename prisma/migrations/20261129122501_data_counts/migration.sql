-- What became of the lines of a job's files. Null: they were not validated yet, or by a version that did not count.
ALTER TABLE "jobs" ADD COLUMN "data_counts" JSONB;
ALTER TABLE "validation_results" ADD COLUMN "counts" JSONB;
