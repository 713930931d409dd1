-- Adapters that may still be loaded in runtimes that never answered, for the operator: docs/deploy-targets.md.
CREATE TABLE "deploy_leftovers" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "team_name" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "runtime" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "model_name" TEXT NOT NULL,
    "unreachable_since" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "dismissed_at" TIMESTAMPTZ(6),

    CONSTRAINT "deploy_leftovers_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "deploy_leftovers_created_at_id_idx" ON "deploy_leftovers"("created_at", "id");
CREATE INDEX "deploy_leftovers_team_id_idx" ON "deploy_leftovers"("team_id");
SELECT graft_fence('deploy_leftovers');
