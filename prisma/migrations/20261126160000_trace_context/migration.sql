-- The trace that a job's spans belong to: that of the request which created it.
ALTER TABLE "jobs" ADD COLUMN "trace_context" TEXT;

-- Metrics count paused jobs at every scrape; jobs_live_idx has those that the loops look at.
CREATE INDEX "jobs_paused_idx" ON "jobs"("team_id") WHERE "state" = 'paused';
