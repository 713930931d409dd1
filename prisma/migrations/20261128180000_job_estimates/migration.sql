-- What a job comes to, told before it runs.
ALTER TABLE "jobs" ADD COLUMN "estimate" JSONB;
