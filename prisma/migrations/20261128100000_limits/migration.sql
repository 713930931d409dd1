-- What a team may have and ask for. NULL, and * in a list: no limit. How many of its jobs may run at once stands in teams.
CREATE TABLE "team_quotas" (
    "team_id" TEXT NOT NULL,
    "queued_jobs" INTEGER,
    "stored_bytes" BIGINT,
    "tokens_per_month" BIGINT,
    "open_uploads" INTEGER,
    "models" TEXT[] NOT NULL DEFAULT ARRAY['*']::TEXT[],
    "methods" TEXT[] NOT NULL DEFAULT ARRAY['*']::TEXT[],
    "max_rank" INTEGER,
    "max_seq_length" INTEGER,
    "tokens_per_job" BIGINT,

    CONSTRAINT "team_quotas_pkey" PRIMARY KEY ("team_id")
);
ALTER TABLE "team_quotas" ADD CONSTRAINT "team_quotas_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "team_quotas" ADD CONSTRAINT "team_quotas_not_negative" CHECK (least("queued_jobs", "stored_bytes", "tokens_per_month",
    "open_uploads", "max_rank", "max_seq_length", "tokens_per_job") >= 0);

-- A team reads its own, and only the operator changes it.
SELECT graft_fence('team_quotas', 'system');
CREATE POLICY team_reads ON "team_quotas" FOR SELECT TO graft_team USING (team_id = current_setting('graft.team_id', true));
SELECT graft_grant('team_quotas');

-- What a validated job will train, at most; until it has ended that counts towards its team's month.
ALTER TABLE "jobs" ADD COLUMN "planned_tokens" BIGINT;
-- Tokens of the training data, once through. Null: an earlier version did not count them.
ALTER TABLE "validation_results" ADD COLUMN "tokens" BIGINT;
-- What a team trained since some day, without a look at any other job.
CREATE INDEX "jobs_trained_idx" ON "jobs"("team_id", "finished_at") INCLUDE ("trained_tokens") WHERE "trained_tokens" IS NOT NULL;

-- How many requests of a key or an address came in a minute (since 1970). Without Redis the API's processes add up here, twice a
-- second. Worth nothing after a crash, hence not in the log.
CREATE UNLOGGED TABLE "rate_counts" (
    "minute" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "count" INTEGER NOT NULL,

    CONSTRAINT "rate_counts_pkey" PRIMARY KEY ("minute", "name")
);
SELECT graft_fence('rate_counts', 'system');
