-- Bytes that requests of a team with a quota of stored bytes are receiving: they count before they have a row of their own. Of a part
-- of an upload (`upload_id`) the bytes count within what the upload has announced.
CREATE TABLE "incoming_bytes" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "upload_id" TEXT,
    "bytes" BIGINT NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "incoming_bytes_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "incoming_bytes_bytes_check" CHECK ("bytes" >= 0)
);
CREATE INDEX "incoming_bytes_team_id_idx" ON "incoming_bytes"("team_id");
ALTER TABLE "incoming_bytes" ADD CONSTRAINT "incoming_bytes_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT graft_fence('incoming_bytes');
