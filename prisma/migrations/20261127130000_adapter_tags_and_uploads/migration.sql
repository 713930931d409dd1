-- An adapter that was made elsewhere has no job.
ALTER TABLE "adapter_versions" ALTER COLUMN "job_id" DROP NOT NULL;

-- What people write of it; when it was deleted: it can be restored until the collector removes it.
ALTER TABLE "adapters" ADD COLUMN "note" TEXT;
ALTER TABLE "adapter_versions" ADD COLUMN "note" TEXT, ADD COLUMN "deleted_at" TIMESTAMPTZ(6);

-- The version that its training went on from. It stays when that version is removed: where something came from does not change.
ALTER TABLE "adapter_versions" ADD COLUMN "parent_id" TEXT;

CREATE UNIQUE INDEX "adapter_versions_team_id_id_key" ON "adapter_versions"("team_id", "id");
CREATE INDEX "adapter_versions_team_id_parent_id_idx" ON "adapter_versions"("team_id", "parent_id");
CREATE INDEX "adapter_versions_team_id_deleted_at_id_idx" ON "adapter_versions"("team_id", "deleted_at", "id");

-- Names that are moved from version to version.
CREATE TABLE "adapter_tags" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "adapter_id" TEXT NOT NULL,
    "version_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "model_name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "moved_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "adapter_tags_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "adapter_tags_team_id_adapter_id_name_key" ON "adapter_tags"("team_id", "adapter_id", "name");
CREATE UNIQUE INDEX "adapter_tags_team_id_model_name_key" ON "adapter_tags"("team_id", "model_name");
CREATE INDEX "adapter_tags_team_id_version_id_idx" ON "adapter_tags"("team_id", "version_id");
ALTER TABLE "adapter_tags" ADD CONSTRAINT "adapter_tags_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "adapter_tags" ADD CONSTRAINT "adapter_tags_team_id_adapter_id_fkey" FOREIGN KEY ("team_id", "adapter_id") REFERENCES "adapters"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "adapter_tags" ADD CONSTRAINT "adapter_tags_team_id_version_id_fkey" FOREIGN KEY ("team_id", "version_id") REFERENCES "adapter_versions"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

SELECT graft_fence('adapter_tags');
