-- Files that are sent in parts. `remaining_bytes` and `part_count` are kept with the parts' rows, so that a part that would be too much is
-- refused by one guarded update. `claim` names whoever puts the parts together, while `claim_until` is not over.
CREATE TABLE "uploads" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "key_id" TEXT,
    "filename" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "mime_type" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "remaining_bytes" BIGINT NOT NULL,
    "part_count" INTEGER NOT NULL DEFAULT 0,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "claim" TEXT,
    "claim_until" TIMESTAMPTZ(6),
    "completed_with" TEXT,
    "file_id" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "uploads_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "uploads_status_check" CHECK ("status" IN ('pending', 'completed', 'cancelled', 'expired')),
    CONSTRAINT "uploads_bytes_check" CHECK ("bytes" > 0 AND "remaining_bytes" BETWEEN 0 AND "bytes"),
    CONSTRAINT "uploads_completed_check" CHECK (("status" = 'completed') = ("file_id" IS NOT NULL))
);

CREATE TABLE "upload_parts" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "upload_id" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "sha256" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "upload_parts_pkey" PRIMARY KEY ("id")
);

-- What a team's file holds, computed for one base model and one limit; `key` is a digest of all that it depends on.
CREATE TABLE "file_reports" (
    "team_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "model" TEXT,
    "max_seq_length" INTEGER,
    "status" TEXT NOT NULL DEFAULT 'running',
    "progress" JSONB,
    "result" JSONB,
    "error" JSONB,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "holder" TEXT,
    "lease_until" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "file_reports_pkey" PRIMARY KEY ("team_id","key"),
    CONSTRAINT "file_reports_status_check" CHECK ("status" IN ('running', 'ready', 'failed'))
);

CREATE UNIQUE INDEX "uploads_team_id_id_key" ON "uploads"("team_id", "id");
CREATE INDEX "uploads_team_id_created_at_id_idx" ON "uploads"("team_id", "created_at", "id");
CREATE INDEX "uploads_status_expires_at_idx" ON "uploads"("status", "expires_at");
CREATE UNIQUE INDEX "upload_parts_path_key" ON "upload_parts"("path");
CREATE UNIQUE INDEX "upload_parts_team_id_upload_id_sha256_bytes_key" ON "upload_parts"("team_id", "upload_id", "sha256", "bytes");
CREATE INDEX "upload_parts_team_id_upload_id_created_at_id_idx" ON "upload_parts"("team_id", "upload_id", "created_at", "id");
CREATE INDEX "file_reports_team_id_sha256_idx" ON "file_reports"("team_id", "sha256");
CREATE INDEX "file_reports_status_created_at_idx" ON "file_reports"("status", "created_at");
CREATE INDEX "files_team_id_sha256_idx" ON "files"("team_id", "sha256");

ALTER TABLE "uploads" ADD CONSTRAINT "uploads_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "upload_parts" ADD CONSTRAINT "upload_parts_team_id_upload_id_fkey" FOREIGN KEY ("team_id", "upload_id") REFERENCES "uploads"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "upload_parts" ADD CONSTRAINT "upload_parts_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "file_reports" ADD CONSTRAINT "file_reports_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The bytes of a part are an object of the store as a file's are, collected when no row names them.
CREATE TRIGGER "upload_parts_refuse_old_object" BEFORE INSERT OR UPDATE OF "path" ON "upload_parts"
    FOR EACH ROW EXECUTE FUNCTION "refuse_old_object"('path');

SELECT graft_fence('uploads'), graft_fence('upload_parts'), graft_fence('file_reports');
