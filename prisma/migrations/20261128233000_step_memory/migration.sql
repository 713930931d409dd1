-- What the process that trains held at each step, in bytes. Null: of an evaluation, or of a version that did not say.
ALTER TABLE "job_metrics" ADD COLUMN "memory_bytes" BIGINT;
