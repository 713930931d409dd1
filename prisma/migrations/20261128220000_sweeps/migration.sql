-- A job may try several configurations, of which the best is published: docs/sweeps.md. As requested; null: it does not.
ALTER TABLE "jobs" ADD COLUMN "sweep" JSONB;

-- A row a trial, from its request on. What a worker reports of it is that of the job's newest checkpoint, or later.
CREATE TABLE "job_trials" (
    "team_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "trial" INTEGER NOT NULL,
    "peft" JSONB NOT NULL,
    "training" JSONB NOT NULL,
    "resolved_training" JSONB,
    "status" TEXT NOT NULL DEFAULT 'waiting',
    "step" INTEGER NOT NULL DEFAULT 0,
    "rungs" JSONB NOT NULL DEFAULT '[]',

    CONSTRAINT "job_trials_pkey" PRIMARY KEY ("team_id", "job_id", "trial"),
    CONSTRAINT "job_trials_status_check" CHECK (status IN ('waiting', 'running', 'stopped', 'diverged', 'won'))
);
ALTER TABLE "job_trials" ADD CONSTRAINT "job_trials_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT graft_fence('job_trials');

-- Of a sweep's metrics, whose steps count those of all trials: which trial's they are, and the step of its own.
ALTER TABLE "job_metrics" ADD COLUMN "trial" INTEGER, ADD COLUMN "trial_step" INTEGER;

-- While processes of versions before are about: they know no trials, and would validate and train the first as if it were the job. Such
-- a step is not taken, as if another had the lease. A worker says that it knows sweeps.
CREATE FUNCTION "graft_guard_sweep"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD."state" = 'validating' AND NEW."state" = 'queued' AND EXISTS (
        SELECT 1 FROM "job_trials" WHERE "team_id" = NEW."team_id" AND "job_id" = NEW."id" AND "resolved_training" IS NULL) THEN
        RETURN NULL;
    END IF;
    IF OLD."state" = 'dispatched' AND NEW."state" = 'running' AND EXISTS (
        SELECT 1 FROM "workers" WHERE "id" = NEW."worker_id" AND NOT coalesce("capabilities" ? 'sweeps', false)) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER "jobs_guard_sweep" BEFORE UPDATE OF "state" ON "jobs" FOR EACH ROW WHEN (NEW."sweep" IS NOT NULL)
    EXECUTE FUNCTION "graft_guard_sweep"();
