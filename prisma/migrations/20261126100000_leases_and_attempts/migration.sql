-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "avoid_worker" TEXT,
ADD COLUMN     "environment_faults" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "requirements" JSONB,
ADD COLUMN     "validation_attempts" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "validation_progress" JSONB;

-- AlterTable
ALTER TABLE "workers" ADD COLUMN     "capabilities" JSONB,
ADD COLUMN     "consecutive_faults" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "quarantine_reason" TEXT,
ADD COLUMN     "quarantined_at" TIMESTAMPTZ(6);

-- CreateTable
CREATE TABLE "job_attempts" (
    "team_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "lease_epoch" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "worker_id" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),
    "from_step" INTEGER,
    "last_step" INTEGER,
    "outcome" TEXT,
    "reason" TEXT,

    CONSTRAINT "job_attempts_pkey" PRIMARY KEY ("team_id","job_id","lease_epoch")
);

-- CreateTable
CREATE TABLE "loop_turns" (
    "name" TEXT NOT NULL,
    "holder" TEXT NOT NULL,
    "until" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "loop_turns_pkey" PRIMARY KEY ("name")
);

-- AddForeignKey
ALTER TABLE "job_attempts" ADD CONSTRAINT "job_attempts_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What Prisma does not model --------------------------------------------------------------------------------------

ALTER TABLE "jobs" ADD CONSTRAINT "jobs_attempts_check" CHECK
    ("attempts" >= 0 AND "attempts_since_checkpoint" >= 0 AND "validation_attempts" >= 0 AND "environment_faults" >= 0);
ALTER TABLE "job_attempts" ADD CONSTRAINT "job_attempts_kind_check" CHECK ("kind" IN ('training', 'validation'));
ALTER TABLE "job_attempts" ADD CONSTRAINT "job_attempts_outcome_check" CHECK ("outcome" IN
    ('succeeded', 'failed', 'cancelled', 'paused', 'released', 'lost', 'environment'));
ALTER TABLE "job_attempts" ADD CONSTRAINT "job_attempts_end_check" CHECK (("ended_at" IS NULL) = ("outcome" IS NULL));
ALTER TABLE "workers" ADD CONSTRAINT "workers_quarantine_check" CHECK
    (("quarantined_at" IS NULL) = ("quarantine_reason" IS NULL));

-- Whether a worker can run a job: as the job was run before, or, at its first claim, in the precision that it asks for.
-- A worker that does not say what it can do may try anything.
CREATE FUNCTION "graft_can_run"("capabilities" jsonb, "requirements" jsonb, "training" jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN capabilities IS NULL THEN true
        WHEN requirements IS NULL THEN
            coalesce(training->>'precision', 'auto') = 'auto' OR capabilities->'precisions' ? (training->>'precision')
        ELSE capabilities->>'device' = requirements->>'device'
            AND (capabilities->>'threads')::int >= (requirements->>'threads')::int
            AND capabilities->'precisions' ? (requirements->>'precision')
    END
$$;
