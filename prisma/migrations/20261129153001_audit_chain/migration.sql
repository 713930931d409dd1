-- The audit log is append-only and chained by hash: docs/decisions/0026-audit-evidence.md.

-- Entries stay when a person is erased, so they name people by id alone. Emails are in `people` and `invitations`.
UPDATE "audit_log" SET detail = nullif(detail - ARRAY['email', 'name', 'subject'], '{}')
WHERE (action LIKE 'person.%' OR action LIKE 'invitation.%') AND jsonb_typeof(detail) = 'object'
    AND detail ?| ARRAY['email', 'name', 'subject'];

-- An entry's place in its chain, from 1 without a gap, and SHA-256 over the hash before it and its own content. Null only until
-- the transaction that adds it ends.
ALTER TABLE "audit_log" ADD COLUMN "sequence" BIGINT, ADD COLUMN "hash" BYTEA;

-- The last entry of each chain: one for each team, and the installation's, which has the empty name.
CREATE TABLE "audit_chains" (
    "chain" TEXT NOT NULL,
    "sequence" BIGINT NOT NULL DEFAULT 0,
    "hash" BYTEA NOT NULL DEFAULT '',

    CONSTRAINT "audit_chains_pkey" PRIMARY KEY ("chain")
);

-- How far each chain was exported to a sink. `sink`: a digest of its URL, which may hold a token.
CREATE TABLE "audit_exports" (
    "sink" TEXT NOT NULL,
    "chain" TEXT NOT NULL,
    "sequence" BIGINT NOT NULL,
    "exported_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_exports_pkey" PRIMARY KEY ("sink", "chain")
);

-- What a hash covers, as text. It is exported as it is, so that nobody has to build it again.
CREATE FUNCTION "graft_audit_content"("entry" "audit_log") RETURNS TEXT LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', entry.id::text, 'team_id', entry.team_id, 'sequence', entry.sequence, 'key_id', entry.key_id,
        'person_id', entry.person_id, 'system', entry.system, 'action', entry.action, 'target', entry.target,
        'detail', entry.detail,
        'created_at', to_char(entry.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    )::text
$$;

-- SHA-256 of the previous hash in hexadecimal (of the first entry: nothing), a line feed, and the content, in UTF-8.
CREATE FUNCTION "graft_audit_hash"("previous" BYTEA, "content" TEXT) RETURNS BYTEA LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(convert_to(encode(previous, 'hex') || E'\n' || content, 'UTF8'))
$$;

-- Seals the entries that this transaction has added, and those of a chain in their order. It is run at COMMIT, so that the lock of a
-- chain is held for the COMMIT alone and comes after all others: no deed waits for another's. Chains are locked in one order.
CREATE FUNCTION "graft_seal_audit"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    head "audit_chains";
    entry "audit_log";
    of_chain TEXT;
BEGIN
    -- The first of a transaction's entries seals all of them.
    IF (SELECT sequence FROM audit_log WHERE id = NEW.id) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    FOR of_chain IN
        SELECT DISTINCT coalesce(team_id, '') COLLATE "C" AS name FROM audit_log WHERE sequence IS NULL ORDER BY name
    LOOP
        INSERT INTO audit_chains (chain) VALUES (of_chain) ON CONFLICT DO NOTHING;
        SELECT * INTO STRICT head FROM audit_chains WHERE chain = of_chain FOR UPDATE;
        FOR entry IN
            SELECT * FROM audit_log WHERE sequence IS NULL AND coalesce(team_id, '') = of_chain ORDER BY id
        LOOP
            head.sequence := head.sequence + 1;
            entry.sequence := head.sequence;
            head.hash := graft_audit_hash(head.hash, graft_audit_content(entry));
            UPDATE audit_log SET sequence = head.sequence, hash = head.hash WHERE id = entry.id;
        END LOOP;
        UPDATE audit_chains SET sequence = head.sequence, hash = head.hash WHERE chain = of_chain;
    END LOOP;
    RETURN NULL;
END
$$;

-- Whoever adds an entry does not choose its place.
CREATE FUNCTION "graft_unseal_audit"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sequence := NULL;
    NEW.hash := NULL;
    RETURN NEW;
END
$$;

-- Whoever asks, the owner of the tables too. Sealing alone passes: it fills in what is null, once.
CREATE FUNCTION "graft_guard_audit"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' AND OLD.sequence IS NULL AND OLD.hash IS NULL
        AND to_jsonb(NEW) - ARRAY['sequence', 'hash'] = to_jsonb(OLD) - ARRAY['sequence', 'hash'] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'GA001';
END
$$;

-- A chain only gets longer.
CREATE FUNCTION "graft_guard_chain"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' AND NEW.chain = OLD.chain AND NEW.sequence > OLD.sequence THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a chain of the audit log only gets longer' USING ERRCODE = 'GA001';
END
$$;

-- A function that runs as the owner finds no table but these, whatever the caller's search path and temporary tables are.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION graft_seal_audit() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$$;
-- A session keeps plans: one made while the table was small would read all of a large one.
ALTER FUNCTION graft_seal_audit() SET enable_seqscan = off;
ALTER FUNCTION graft_seal_audit() SET plan_cache_mode = force_custom_plan;

-- The entries that are there, in the order of their ids.
DO $$
DECLARE
    entry "audit_log";
    of_chain TEXT;
    head_hash BYTEA := '';
    last BIGINT := 0;
BEGIN
    FOR entry IN SELECT * FROM audit_log ORDER BY coalesce(team_id, ''), id LOOP
        IF of_chain IS DISTINCT FROM coalesce(entry.team_id, '') THEN
            of_chain := coalesce(entry.team_id, '');
            last := 0;
            head_hash := '';
        END IF;
        last := last + 1;
        entry.sequence := last;
        head_hash := graft_audit_hash(head_hash, graft_audit_content(entry));
        UPDATE audit_log SET sequence = last, hash = head_hash WHERE id = entry.id;
    END LOOP;
END
$$;
CREATE UNIQUE INDEX "audit_log_chain_idx" ON "audit_log"(coalesce(team_id, ''), "sequence");
-- Entries of transactions that have not ended, and nothing else.
CREATE INDEX "audit_log_unsealed_idx" ON "audit_log"("id") WHERE "sequence" IS NULL;
ANALYZE "audit_log";
INSERT INTO "audit_chains" (chain, sequence, hash)
SELECT DISTINCT ON (coalesce(team_id, '')) coalesce(team_id, ''), sequence, hash FROM "audit_log"
ORDER BY coalesce(team_id, ''), sequence DESC;

CREATE TRIGGER "audit_log_unsealed" BEFORE INSERT ON "audit_log"
    FOR EACH ROW EXECUTE FUNCTION "graft_unseal_audit"();
CREATE CONSTRAINT TRIGGER "audit_log_sealed" AFTER INSERT ON "audit_log" DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION "graft_seal_audit"();
CREATE TRIGGER "audit_log_kept" BEFORE UPDATE ON "audit_log"
    FOR EACH ROW EXECUTE FUNCTION "graft_guard_audit"();
-- Also one that finds no row. Sealing comes from a trigger.
CREATE TRIGGER "audit_log_unchanged" BEFORE UPDATE ON "audit_log"
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION "graft_guard_audit"();
CREATE TRIGGER "audit_log_guard" BEFORE DELETE OR TRUNCATE ON "audit_log"
    FOR EACH STATEMENT EXECUTE FUNCTION "graft_guard_audit"();
CREATE TRIGGER "audit_chains_kept" BEFORE UPDATE ON "audit_chains"
    FOR EACH ROW EXECUTE FUNCTION "graft_guard_chain"();
CREATE TRIGGER "audit_chains_guard" BEFORE DELETE OR TRUNCATE ON "audit_chains"
    FOR EACH STATEMENT EXECUTE FUNCTION "graft_guard_chain"();
-- In sessions that act as a replica, too.
ALTER TABLE "audit_log" ENABLE ALWAYS TRIGGER "audit_log_kept", ENABLE ALWAYS TRIGGER "audit_log_unchanged",
    ENABLE ALWAYS TRIGGER "audit_log_guard";
ALTER TABLE "audit_chains" ENABLE ALWAYS TRIGGER "audit_chains_kept", ENABLE ALWAYS TRIGGER "audit_chains_guard";

-- The system's privileges on a table follow its policies, as a team's do.
CREATE OR REPLACE FUNCTION "graft_grant"("target" regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    counter regclass;
    wanted RECORD;
BEGIN
    EXECUTE format('REVOKE ALL ON TABLE %s FROM graft_team, graft_system', target);
    FOR wanted IN
        SELECT CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
            ELSE 'SELECT, INSERT, UPDATE, DELETE' END AS commands, rolname
        FROM pg_policy JOIN pg_roles ON pg_roles.oid = ANY (polroles)
        WHERE polrelid = target AND rolname IN ('graft_team', 'graft_system')
    LOOP
        EXECUTE format('GRANT %s ON TABLE %s TO %I', wanted.commands, target, wanted.rolname);
    END LOOP;
    FOR counter IN
        SELECT objid::regclass FROM pg_depend JOIN pg_class ON pg_class.oid = objid
        WHERE refobjid = target AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND relkind = 'S'
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO graft_team, graft_system', counter);
    END LOOP;
END
$$;

-- Nobody who logs in for the service changes an entry or a chain.
SELECT graft_fence('audit_log', 'record'), graft_fence('audit_chains', 'system'), graft_fence('audit_exports', 'system');
DROP POLICY system_all ON "audit_log";
CREATE POLICY system_reads ON "audit_log" FOR SELECT TO graft_system USING (true);
CREATE POLICY system_adds ON "audit_log" FOR INSERT TO graft_system WITH CHECK (true);
DROP POLICY system_all ON "audit_chains";
CREATE POLICY system_reads ON "audit_chains" FOR SELECT TO graft_system USING (true);
SELECT graft_grant('audit_log'), graft_grant('audit_chains');
