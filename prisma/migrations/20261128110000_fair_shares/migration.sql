-- Whose turn it is, remembered: docs/decisions/0014-fair-shares.md.

-- AlterTable
ALTER TABLE "teams" ADD COLUMN     "weight" INTEGER NOT NULL DEFAULT 1;

-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "preempt_requested_at" TIMESTAMPTZ(6),
ADD COLUMN     "priority" INTEGER NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "team_turns" (
    "team_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "virtual_time" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "team_turns_pkey" PRIMARY KEY ("team_id","kind")
);

-- CreateTable
CREATE TABLE "turn_clocks" (
    "kind" TEXT NOT NULL,
    "virtual_time" DOUBLE PRECISION NOT NULL DEFAULT 0,

    CONSTRAINT "turn_clocks_pkey" PRIMARY KEY ("kind")
);

-- AddForeignKey
ALTER TABLE "team_turns" ADD CONSTRAINT "team_turns_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What Prisma does not model --------------------------------------------------------------------------------------

ALTER TABLE "teams" ADD CONSTRAINT "teams_weight_check" CHECK ("weight" BETWEEN 1 AND 1000);
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_priority_check" CHECK ("priority" BETWEEN -1 AND 1);
INSERT INTO "turn_clocks" ("kind") VALUES ('training'), ('validation');

-- The order within a team: a job of high priority counts as a day older than it is, one of low priority as a day younger. A
-- job therefore rises as it waits, and the order of two never changes by itself, so that an index has it.
DROP INDEX "jobs_live_idx";
CREATE INDEX "jobs_live_idx" ON "jobs"("state", "team_id",
        (("created_at" AT TIME ZONE 'UTC') - "priority" * interval '24 hours'), "id")
    WHERE "state" IN ('validating', 'queued', 'dispatched', 'running');

-- How long jobs held their slots, lately.
CREATE INDEX "job_attempts_ran_idx" ON "job_attempts"("ended_at")
    WHERE "kind" = 'training' AND "outcome" IN ('succeeded', 'failed', 'cancelled');

SELECT graft_fence('team_turns'), graft_fence('turn_clocks', 'shared');
