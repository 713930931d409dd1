-- Versions and exports that are sent to repositories of the Hugging Face Hub: docs/decisions/0069-publications-by-the-service.md.
CREATE TABLE "publications" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "version_id" TEXT NOT NULL,
    "export_id" TEXT,
    "key_id" TEXT,
    "format" TEXT,
    "repository" TEXT NOT NULL,
    "is_public" BOOLEAN NOT NULL,
    "card" BOOLEAN NOT NULL DEFAULT true,
    "card_text" TEXT,
    "status" TEXT NOT NULL DEFAULT 'queued',
    "error" JSONB,
    "commit" TEXT,
    "url" TEXT,
    "changed" INTEGER,
    "bytes" BIGINT,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "failing_since" TIMESTAMPTZ(6),
    "next_attempt_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lease_token" TEXT,
    "lease_until" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),

    CONSTRAINT "publications_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "publications_status_check" CHECK ("status" IN ('queued', 'running', 'succeeded', 'failed')),
    -- What has not arrived as a whole has not succeeded.
    CONSTRAINT "publications_commit_check" CHECK (("status" = 'succeeded') = ("commit" IS NOT NULL AND "url" IS NOT NULL
        AND "changed" IS NOT NULL AND "bytes" IS NOT NULL)),
    CONSTRAINT "publications_lease_check" CHECK (("status" = 'running') = ("lease_until" IS NOT NULL AND "lease_token" IS NOT NULL)),
    CONSTRAINT "publications_error_check" CHECK ("status" <> 'failed' OR "error" IS NOT NULL),
    CONSTRAINT "publications_finished_check" CHECK (("status" IN ('succeeded', 'failed')) = ("finished_at" IS NOT NULL)),
    CONSTRAINT "publications_format_check" CHECK (("export_id" IS NULL) = ("format" IS NULL))
);
CREATE UNIQUE INDEX "publications_team_id_id_key" ON "publications"("team_id", "id");
CREATE INDEX "publications_team_id_version_id_created_at_id_idx" ON "publications"("team_id", "version_id", "created_at", "id");
-- The Hub does not distinguish names by case.
CREATE UNIQUE INDEX "publications_same_idx" ON "publications"("team_id", "version_id", coalesce("export_id", ''), lower("repository"));
-- One at a time for each team.
CREATE UNIQUE INDEX "publications_running_idx" ON "publications"("team_id") WHERE "status" = 'running';
CREATE INDEX "publications_open_idx" ON "publications"("next_attempt_at", "id") WHERE "status" IN ('queued', 'running');
-- An export is kept until its publications have ended.
CREATE INDEX "publications_open_export_idx" ON "publications"("export_id") WHERE "status" IN ('queued', 'running');
ALTER TABLE "publications" ADD CONSTRAINT "publications_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "publications" ADD CONSTRAINT "publications_team_id_version_id_fkey" FOREIGN KEY ("team_id", "version_id") REFERENCES "adapter_versions"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The token of the Hub is stored like those of experiment trackers.
ALTER TABLE "integrations" DROP CONSTRAINT "integrations_type_check";
ALTER TABLE "integrations" ADD CONSTRAINT "integrations_type_check" CHECK ("type" IN ('wandb', 'mlflow', 'trackio', 'huggingface'));

SELECT graft_fence('publications');
