-- Base models that the operator has added, beside those of the configuration. Whoever holds the lease fetches: `holder` until
-- `lease_until`. Bytes are on each machine's disk; what every copy must be is told by `commit` and `files`.
CREATE TABLE "added_base_models" (
    "id" TEXT NOT NULL,
    "model_id" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "location" TEXT NOT NULL,
    "revision" TEXT,
    "file" TEXT,
    "commit" TEXT,
    "state" TEXT NOT NULL DEFAULT 'queued',
    "bytes_done" BIGINT NOT NULL DEFAULT 0,
    "bytes_total" BIGINT,
    "files" JSONB,
    "model_type" TEXT,
    "digest" TEXT,
    "error" JSONB,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "holder" TEXT,
    "lease_until" TIMESTAMPTZ(6),
    "not_before" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "added_by" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),
    "hidden_at" TIMESTAMPTZ(6),

    CONSTRAINT "added_base_models_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "added_base_models_source_check" CHECK ("source" IN ('folder', 'hub', 's3')),
    CONSTRAINT "added_base_models_state_check" CHECK ("state" IN ('queued', 'fetching', 'ready', 'failed')),
    CONSTRAINT "added_base_models_lease_check" CHECK (("state" = 'fetching') = ("holder" IS NOT NULL AND "lease_until" IS NOT NULL)),
    CONSTRAINT "added_base_models_ready_check" CHECK ("state" <> 'ready' OR ("files" IS NOT NULL AND "digest" IS NOT NULL))
);

CREATE UNIQUE INDEX "added_base_models_model_id_key" ON "added_base_models"("model_id");
CREATE INDEX "added_base_models_state_created_at_idx" ON "added_base_models"("state", "created_at");

-- Base models, of the configuration or added, that only allowed teams see. A row here outlives the teams that were allowed: without
-- any left, nobody sees the model.
CREATE TABLE "limited_base_models" (
    "model_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "limited_base_models_pkey" PRIMARY KEY ("model_id")
);

CREATE TABLE "base_model_rules" (
    "model_id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "allowed" BOOLEAN NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "base_model_rules_pkey" PRIMARY KEY ("model_id","team_id")
);

CREATE INDEX "base_model_rules_team_id_idx" ON "base_model_rules"("team_id");

ALTER TABLE "base_model_rules" ADD CONSTRAINT "base_model_rules_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- How many jobs and adapters use a model, before it is removed.
CREATE INDEX "jobs_model_under_way_idx" ON "jobs"("model") WHERE "state" NOT IN ('succeeded', 'failed', 'cancelled');

SELECT graft_fence('added_base_models', 'shared'), graft_fence('limited_base_models', 'shared');

-- A team reads what is ruled of it, and rules nothing itself.
SELECT graft_fence('base_model_rules', 'system');
CREATE POLICY team_reads ON "base_model_rules" FOR SELECT TO graft_team USING (team_id = current_setting('graft.team_id', true));
SELECT graft_grant('base_model_rules');
