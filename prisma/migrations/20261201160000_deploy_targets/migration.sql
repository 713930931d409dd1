-- Runtimes of teams into which the version that a tag points at is loaded: docs/decisions/0070-deploy-targets.md.
CREATE TABLE "deploy_targets" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "adapter_id" TEXT NOT NULL,
    "tag" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "runtime" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "folder" TEXT,
    "model_name" TEXT NOT NULL,
    "versioned_names" BOOLEAN NOT NULL,
    "keep_seconds" INTEGER NOT NULL,
    "sealed" BYTEA,
    "sealed_by" TEXT NOT NULL DEFAULT 'pepper:1',
    "state" TEXT NOT NULL DEFAULT 'waiting',
    "reason" TEXT,
    "deployed_number" INTEGER,
    "served_model" TEXT,
    "deployed_at" TIMESTAMPTZ(6),
    "checked_at" TIMESTAMPTZ(6),
    "failing_since" TIMESTAMPTZ(6),
    "failures" INTEGER NOT NULL DEFAULT 0,
    "generation" INTEGER NOT NULL DEFAULT 0,
    "lease_until" TIMESTAMPTZ(6),
    "lease_token" TEXT,
    "next_attempt_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "deploy_targets_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "deploy_targets_state_check" CHECK ("state" IN ('waiting', 'loading', 'deployed', 'failing')),
    CONSTRAINT "deploy_targets_reason_check" CHECK ("state" <> 'failing' OR "reason" IS NOT NULL),
    CONSTRAINT "deploy_targets_keep_check" CHECK ("keep_seconds" >= 0)
);
CREATE UNIQUE INDEX "deploy_targets_team_id_id_key" ON "deploy_targets"("team_id", "id");
CREATE INDEX "deploy_targets_team_id_created_at_id_idx" ON "deploy_targets"("team_id", "created_at", "id");
CREATE INDEX "deploy_targets_team_id_adapter_id_tag_idx" ON "deploy_targets"("team_id", "adapter_id", "tag");
-- A deleted target keeps its row until its runtime has unloaded the adapter.
CREATE UNIQUE INDEX "deploy_targets_name_idx" ON "deploy_targets"("team_id", "name") WHERE "deleted_at" IS NULL;
CREATE INDEX "deploy_targets_due_idx" ON "deploy_targets"("next_attempt_at");
ALTER TABLE "deploy_targets" ADD CONSTRAINT "deploy_targets_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

SELECT graft_fence('deploy_targets');
