-- Adapter versions written in the formats of other programs: docs/decisions/0061-exports.md.
CREATE TABLE "adapter_exports" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "version_id" TEXT NOT NULL,
    "key_id" TEXT,
    "format" TEXT NOT NULL,
    "options" JSONB NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'queued',
    "reserved_bytes" BIGINT NOT NULL,
    "done" BIGINT NOT NULL DEFAULT 0,
    "total" BIGINT,
    "artifact" TEXT,
    "digest" TEXT,
    "bytes" BIGINT,
    "files" JSONB,
    "notes" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    "error" JSONB,
    "keep" BOOLEAN NOT NULL DEFAULT false,
    "lease_epoch" INTEGER NOT NULL DEFAULT 0,
    "lease_token" TEXT,
    "lease_until" TIMESTAMPTZ(6),
    "worker_id" TEXT,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "environment_faults" INTEGER NOT NULL DEFAULT 0,
    "run_after" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6),
    "corrupt_at" TIMESTAMPTZ(6),

    CONSTRAINT "adapter_exports_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "adapter_exports_status_check" CHECK ("status" IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT "adapter_exports_files_check" CHECK (("status" = 'succeeded') = ("artifact" IS NOT NULL AND "bytes" IS NOT NULL
        AND "files" IS NOT NULL AND "digest" IS NOT NULL)),
    CONSTRAINT "adapter_exports_lease_check" CHECK (("status" = 'running') = ("lease_until" IS NOT NULL)),
    CONSTRAINT "adapter_exports_error_check" CHECK ("status" <> 'failed' OR "error" IS NOT NULL),
    CONSTRAINT "adapter_exports_bytes_check" CHECK ("reserved_bytes" >= 0)
);
CREATE UNIQUE INDEX "adapter_exports_team_id_id_key" ON "adapter_exports"("team_id", "id");
CREATE INDEX "adapter_exports_team_id_version_id_created_at_id_idx" ON "adapter_exports"("team_id", "version_id", "created_at", "id");
CREATE INDEX "adapter_exports_artifact_idx" ON "adapter_exports"("artifact");
CREATE INDEX "adapter_exports_expires_at_idx" ON "adapter_exports"("expires_at");
-- The exports that a worker may take.
CREATE INDEX "adapter_exports_live_idx" ON "adapter_exports"("team_id", "created_at", "id") WHERE "status" IN ('queued', 'running');
-- Asking twice for the same files gives one export.
CREATE UNIQUE INDEX "adapter_exports_same_idx" ON "adapter_exports"("team_id", "version_id", "fingerprint")
    WHERE "status" IN ('queued', 'running', 'succeeded') AND "corrupt_at" IS NULL;
ALTER TABLE "adapter_exports" ADD CONSTRAINT "adapter_exports_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "adapter_exports" ADD CONSTRAINT "adapter_exports_team_id_version_id_fkey" FOREIGN KEY ("team_id", "version_id") REFERENCES "adapter_versions"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

INSERT INTO "turn_clocks" ("kind") VALUES ('export') ON CONFLICT DO NOTHING;

CREATE TRIGGER "adapter_exports_refuse_old_object" BEFORE INSERT OR UPDATE OF "artifact" ON "adapter_exports"
    FOR EACH ROW EXECUTE FUNCTION "refuse_old_object"('artifact');

-- An export that has ended stays as it is.
CREATE FUNCTION "graft_guard_export"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the export % has ended as %', OLD.id, OLD.status USING ERRCODE = 'GE001';
END
$$;
CREATE TRIGGER "adapter_exports_guard" BEFORE UPDATE ON "adapter_exports" FOR EACH ROW
    WHEN (OLD.status IN ('succeeded', 'failed', 'cancelled') AND (NEW.status, NEW.artifact, NEW.format, NEW.options)
        IS DISTINCT FROM (OLD.status, OLD.artifact, OLD.format, OLD.options))
    EXECUTE FUNCTION "graft_guard_export"();

-- As before, and for exports, which have no bytes until they are written.
CREATE OR REPLACE FUNCTION "graft_meter_stored"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stored JSONB := to_jsonb(NEW);
    owner_key TEXT := stored->>'key_id';
    model TEXT := stored->>'model_name';
    base TEXT;
BEGIN
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        INSERT INTO usage_ledger (team_id, kind, quantity, subject, key_id, model, base_model, job_id)
        SELECT OLD.team_id, 'stored_bytes', -sum(quantity), OLD.id, entry.key_id, entry.model, entry.base_model, entry.job_id
        FROM usage_ledger AS entry
        WHERE entry.team_id = OLD.team_id AND entry.subject = OLD.id AND entry.kind = 'stored_bytes'
        GROUP BY entry.key_id, entry.model, entry.base_model, entry.job_id HAVING sum(quantity) <> 0;
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') AND NEW.bytes IS NOT NULL THEN
        IF TG_TABLE_NAME = 'upload_parts' THEN
            SELECT key_id INTO owner_key FROM uploads WHERE team_id = NEW.team_id AND id = stored->>'upload_id';
        ELSIF TG_TABLE_NAME = 'adapter_versions' THEN
            SELECT base_model INTO base FROM adapters WHERE team_id = NEW.team_id AND id = stored->>'adapter_id';
        ELSIF TG_TABLE_NAME = 'checkpoint_adapters' THEN
            SELECT jobs.key_id, jobs.model INTO owner_key, base FROM jobs WHERE team_id = NEW.team_id AND id = stored->>'job_id';
        ELSIF TG_TABLE_NAME = 'adapter_exports' THEN
            SELECT version.model_name, adapter.base_model INTO model, base
            FROM adapter_versions version JOIN adapters adapter ON adapter.team_id = version.team_id AND adapter.id = version.adapter_id
            WHERE version.team_id = NEW.team_id AND version.id = stored->>'version_id';
        END IF;
        INSERT INTO usage_ledger (team_id, kind, quantity, subject, key_id, model, base_model, job_id)
        VALUES (NEW.team_id, 'stored_bytes', NEW.bytes, NEW.id, owner_key, model, base, stored->>'job_id');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER "adapter_exports_meter" AFTER INSERT OR DELETE OR UPDATE OF "bytes" ON "adapter_exports"
    FOR EACH ROW EXECUTE FUNCTION "graft_meter_stored"();

SELECT graft_fence('adapter_exports');
