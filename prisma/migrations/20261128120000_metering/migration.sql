-- Who used how much of what: docs/usage.md.

-- Whose key stored it, so that bytes are told by key.
ALTER TABLE "files" ADD COLUMN "key_id" TEXT;
ALTER TABLE "adapter_versions" ADD COLUMN "key_id" TEXT;
UPDATE "files" SET key_id = made.key_id FROM "audit_log" made
WHERE made.team_id = files.team_id AND made.action = 'file.create' AND made.target = files.id;
UPDATE "adapter_versions" version SET key_id = made.key_id FROM "audit_log" made
WHERE made.team_id = version.team_id AND made.action = 'adapter.upload' AND made.target = version.id;
UPDATE "adapter_versions" version SET key_id = job.key_id FROM "jobs" job
WHERE version.key_id IS NULL AND job.team_id = version.team_id AND job.id = version.job_id;

-- Every use, once and for all: an entry is never changed or removed, a mistake is put right by another one. It outlives what it is of,
-- its team too, so nothing refers to it.
CREATE TABLE "usage_ledger" (
    "id" BIGSERIAL NOT NULL,
    "team_id" TEXT NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "kind" TEXT NOT NULL,
    "quantity" DECIMAL(20,3) NOT NULL,
    "subject" TEXT NOT NULL,
    "key_id" TEXT,
    "model" TEXT,
    "base_model" TEXT,
    "job_id" TEXT,

    CONSTRAINT "usage_ledger_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "usage_ledger_kind_check" CHECK
        (kind IN ('trained_tokens', 'device_seconds', 'stored_bytes', 'input_tokens', 'output_tokens')),
    CONSTRAINT "usage_ledger_whole_check" CHECK (kind = 'device_seconds' OR quantity = trunc(quantity))
);
CREATE INDEX "usage_ledger_team_id_at_idx" ON "usage_ledger"("team_id", "at");
CREATE INDEX "usage_ledger_team_id_subject_kind_idx" ON "usage_ledger"("team_id", "subject", "kind");
-- The operator reads stretches of all teams; entries lie in the order of their time.
CREATE INDEX "usage_ledger_at_idx" ON "usage_ledger" USING BRIN ("at");
-- What is stored at a time is the sum of all before: few, and looked for apart from the many.
CREATE INDEX "usage_ledger_stored_idx" ON "usage_ledger"("team_id", "at") WHERE kind = 'stored_bytes';

-- Whoever asks, the owner of the tables too.
CREATE FUNCTION "graft_guard_ledger"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger of usage is only added to' USING ERRCODE = 'GU001';
END
$$;
CREATE TRIGGER "usage_ledger_guard" BEFORE UPDATE OR DELETE OR TRUNCATE ON "usage_ledger"
    FOR EACH STATEMENT EXECUTE FUNCTION "graft_guard_ledger"();

-- What the operator asks for a unit, from a time on until the next price of the same. `model`: a base model, or * for all that have
-- none of their own.
CREATE TABLE "usage_prices" (
    "id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "model" TEXT NOT NULL DEFAULT '*',
    "price" DECIMAL(20,10) NOT NULL,
    "valid_from" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "usage_prices_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "usage_prices_price_check" CHECK (price >= 0)
);
CREATE UNIQUE INDEX "usage_prices_kind_model_valid_from_key" ON "usage_prices"("kind", "model", "valid_from");
CREATE INDEX "usage_prices_created_at_id_idx" ON "usage_prices"("created_at", "id");

-- What a team may spend in a calendar month, in UTC.
CREATE TABLE "team_budgets" (
    "team_id" TEXT NOT NULL,
    "monthly" DECIMAL(20,6) NOT NULL,
    "warn_at" DOUBLE PRECISION NOT NULL DEFAULT 0.8,
    "stops" BOOLEAN NOT NULL DEFAULT true,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "team_budgets_pkey" PRIMARY KEY ("team_id"),
    CONSTRAINT "team_budgets_monthly_check" CHECK (monthly >= 0)
);
ALTER TABLE "team_budgets" ADD CONSTRAINT "team_budgets_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What was told of a budget in a month: each thing once.
CREATE TABLE "budget_notices" (
    "team_id" TEXT NOT NULL,
    "month" DATE NOT NULL,
    "level" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "budget_notices_pkey" PRIMARY KEY ("team_id", "month", "level")
);
ALTER TABLE "budget_notices" ADD CONSTRAINT "budget_notices_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

SELECT graft_fence('usage_ledger', 'record'), graft_fence('usage_prices', 'shared'), graft_fence('budget_notices', 'system'),
    graft_fence('team_budgets', 'system');
-- The operator sets it; the team reads its own.
CREATE POLICY team_reads ON "team_budgets" FOR SELECT TO graft_team USING (team_id = current_setting('graft.team_id', true));
CREATE POLICY team_reads ON "budget_notices" FOR SELECT TO graft_team USING (team_id = current_setting('graft.team_id', true));
SELECT graft_grant('team_budgets'), graft_grant('budget_notices');

-- Stored bytes are entered where rows that have some come and go, however they do: one by one, by a cascade, by the batch. So the sum
-- is what is stored. Going takes back what stands in the ledger, under the key and model that it came under.
CREATE FUNCTION "graft_meter_stored"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stored JSONB := to_jsonb(NEW);
    owner_key TEXT := stored->>'key_id';
    base TEXT;
BEGIN
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        INSERT INTO usage_ledger (team_id, kind, quantity, subject, key_id, model, base_model, job_id)
        SELECT OLD.team_id, 'stored_bytes', -sum(quantity), OLD.id, key_id, model, base_model, job_id FROM usage_ledger
        WHERE team_id = OLD.team_id AND subject = OLD.id AND kind = 'stored_bytes'
        GROUP BY key_id, model, base_model, job_id HAVING sum(quantity) <> 0;
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        IF TG_TABLE_NAME = 'upload_parts' THEN
            SELECT key_id INTO owner_key FROM uploads WHERE team_id = NEW.team_id AND id = stored->>'upload_id';
        ELSIF TG_TABLE_NAME = 'adapter_versions' THEN
            SELECT base_model INTO base FROM adapters WHERE team_id = NEW.team_id AND id = stored->>'adapter_id';
        ELSIF TG_TABLE_NAME = 'checkpoint_adapters' THEN
            SELECT key_id, model INTO owner_key, base FROM jobs WHERE team_id = NEW.team_id AND id = stored->>'job_id';
        END IF;
        INSERT INTO usage_ledger (team_id, kind, quantity, subject, key_id, model, base_model, job_id)
        VALUES (NEW.team_id, 'stored_bytes', NEW.bytes, NEW.id, owner_key, stored->>'model_name', base, stored->>'job_id');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER "files_meter" AFTER INSERT OR DELETE OR UPDATE OF "bytes" ON "files"
    FOR EACH ROW EXECUTE FUNCTION "graft_meter_stored"();
CREATE TRIGGER "upload_parts_meter" AFTER INSERT OR DELETE OR UPDATE OF "bytes" ON "upload_parts"
    FOR EACH ROW EXECUTE FUNCTION "graft_meter_stored"();
CREATE TRIGGER "adapter_versions_meter" AFTER INSERT OR DELETE OR UPDATE OF "bytes" ON "adapter_versions"
    FOR EACH ROW EXECUTE FUNCTION "graft_meter_stored"();

-- What an earlier version counted and stored, when it did.
INSERT INTO "usage_ledger" (team_id, at, kind, quantity, subject, key_id, model, base_model, job_id)
SELECT * FROM (
    SELECT team_id, created_at AS at, 'stored_bytes', bytes, id, key_id, NULL, NULL, NULL FROM files
    UNION ALL
    SELECT part.team_id, part.created_at, 'stored_bytes', part.bytes, part.id, upload.key_id, NULL, NULL, NULL
    FROM upload_parts part JOIN uploads upload ON upload.team_id = part.team_id AND upload.id = part.upload_id
    UNION ALL
    SELECT version.team_id, version.created_at, 'stored_bytes', bytes, version.id, key_id, model_name, base_model, job_id
    FROM adapter_versions version JOIN adapters adapter ON adapter.team_id = version.team_id AND adapter.id = version.adapter_id
    UNION ALL
    SELECT team_id, coalesce(finished_at, created_at), 'trained_tokens', trained_tokens, id, key_id, model, model, id
    FROM jobs WHERE trained_tokens IS NOT NULL
    UNION ALL
    SELECT attempt.team_id, ended_at, 'device_seconds', round(extract(epoch FROM ended_at - attempt.started_at), 3),
        job_id || '/' || attempt.lease_epoch, key_id, model, model, job_id
    FROM job_attempts attempt JOIN jobs job ON job.team_id = attempt.team_id AND job.id = attempt.job_id
    WHERE kind = 'training' AND ended_at IS NOT NULL
) earlier ORDER BY at;
