-- The schema of Graft 1.0.0: that of the 63 migrations before it, which no release had. packages/service/src/database/migrate-database.ts
-- records it as applied in a database that has all of them. prisma/schema.prisma describes the columns.

-- Roles and row-level security -------------------------------------------------------------------------------------
-- The second fence between teams: docs/decisions/0012-row-level-security.md.

-- Roles belong to the cluster, not to the database: another database may have created them, or be creating them.
DO $$
DECLARE
    wanted TEXT;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['graft_team', 'graft_system'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'the role % is missing, and % may not make it. As a superuser of the server: CREATE ROLE graft_team NOLOGIN; CREATE ROLE graft_system NOLOGIN; GRANT graft_team, graft_system TO %;',
                        wanted, current_user, quote_ident(current_user) USING ERRCODE = 'insufficient_privilege';
            END;
        END IF;
    END LOOP;
END
$$;

-- Grants graft_team and graft_system the privileges that the policies of a table need. Dumps contain no privileges: call this after a
-- restore.
CREATE FUNCTION graft_grant(target regclass) RETURNS void LANGUAGE plpgsql AS $$
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

-- Adds a table's policies; every table needs them. `team`: a team reads and writes the rows with its team_id. `record`: it reads those and
-- adds some, and never changes one. `shared`: teams read all rows. `system`: none. graft_system reads and writes all rows.
CREATE FUNCTION graft_fence(target regclass, kind TEXT DEFAULT 'team') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own CONSTANT TEXT := '(team_id = current_setting(''graft.team_id'', true))';
    policy NAME;
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    FOR policy IN SELECT polname FROM pg_policy WHERE polrelid = target LOOP
        EXECUTE format('DROP POLICY %I ON %s', policy, target);
    END LOOP;
    EXECUTE format('CREATE POLICY system_all ON %s TO graft_system USING (true) WITH CHECK (true)', target);
    CASE kind
        WHEN 'team' THEN
            EXECUTE format('CREATE POLICY team_own ON %s TO graft_team USING %s WITH CHECK %s', target, own, own);
        WHEN 'record' THEN
            EXECUTE format('CREATE POLICY team_reads ON %s FOR SELECT TO graft_team USING %s', target, own);
            EXECUTE format('CREATE POLICY team_adds ON %s FOR INSERT TO graft_team WITH CHECK %s', target, own);
        WHEN 'shared' THEN
            EXECUTE format('CREATE POLICY team_reads ON %s FOR SELECT TO graft_team USING (true)', target);
        WHEN 'system' THEN NULL;
    END CASE;
    PERFORM graft_grant(target);
END
$$;

-- The installation --------------------------------------------------------------------------------------------

CREATE TABLE installation (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    data_folder UUID
);
-- One row, inserted below: its id distinguishes this installation in a Redis that others share.
CREATE UNIQUE INDEX installation_single_idx ON installation((true));
INSERT INTO installation DEFAULT VALUES;

CREATE TABLE loop_turns (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until TIMESTAMPTZ(6) NOT NULL
);

-- Requests by key or address and by minute (since 1970). Without Redis the API's processes add theirs up here, twice a second. Unlogged,
-- since the counts are worthless after a crash.
CREATE UNLOGGED TABLE rate_counts (
    minute INTEGER NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, name)
);

SELECT graft_fence('installation', 'system'), graft_fence('loop_turns', 'system'), graft_fence('rate_counts', 'system');

-- Teams, people and keys --------------------------------------------------------------------------------------

CREATE TABLE teams (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    running_limit INTEGER NOT NULL DEFAULT 8,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMPTZ(6),
    weight INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT teams_running_limit_check CHECK (running_limit >= 0),
    CONSTRAINT teams_weight_check CHECK (weight BETWEEN 1 AND 1000)
);
CREATE UNIQUE INDEX teams_name_key ON teams(name);

-- Limits of a team; teams.running_limit is one more. NULL, and * in a list: no limit.
CREATE TABLE team_quotas (
    team_id TEXT PRIMARY KEY REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    queued_jobs INTEGER,
    stored_bytes BIGINT,
    tokens_per_month BIGINT,
    open_uploads INTEGER,
    models TEXT[] NOT NULL DEFAULT ARRAY['*']::TEXT[],
    methods TEXT[] NOT NULL DEFAULT ARRAY['*']::TEXT[],
    max_rank INTEGER,
    max_seq_length INTEGER,
    tokens_per_job BIGINT,
    files INTEGER,
    adapters INTEGER,
    exports INTEGER,
    CONSTRAINT team_quotas_adapters_check CHECK (adapters >= 0),
    CONSTRAINT team_quotas_exports_check CHECK (exports >= 0),
    CONSTRAINT team_quotas_files_check CHECK (files >= 0),
    CONSTRAINT team_quotas_not_negative CHECK (least(queued_jobs, stored_bytes, tokens_per_month,
        open_uploads, max_rank, max_seq_length, tokens_per_job) >= 0)
);

CREATE TABLE people (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    is_operator BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    disabled_at TIMESTAMPTZ(6),
    operator_source TEXT NOT NULL DEFAULT 'manual',
    verified_at TIMESTAMPTZ(6),
    signed_in_at TIMESTAMPTZ(6),
    erased_at TIMESTAMPTZ(6),
    disabled_source TEXT,
    -- Emails are compared as they are.
    CONSTRAINT people_email_small CHECK (email = lower(email)),
    CONSTRAINT people_operator_source_known CHECK (operator_source IN ('manual', 'oidc'))
);
CREATE INDEX people_created_at_id_idx ON people(created_at, id);
CREATE UNIQUE INDEX people_email_key ON people(email);

CREATE TABLE memberships (
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    person_id TEXT NOT NULL REFERENCES people ON DELETE CASCADE ON UPDATE CASCADE,
    role TEXT NOT NULL,
    source TEXT NOT NULL DEFAULT 'manual',
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (team_id, person_id),
    CONSTRAINT memberships_role_known CHECK (role IN ('viewer', 'member', 'admin')),
    CONSTRAINT memberships_source_known CHECK (source IN ('manual', 'oidc'))
);
CREATE INDEX memberships_person_id_idx ON memberships(person_id);
CREATE INDEX memberships_team_id_created_at_person_id_idx ON memberships(team_id, created_at, person_id);

CREATE TABLE person_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person_id TEXT NOT NULL REFERENCES people ON DELETE CASCADE ON UPDATE CASCADE,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_seen_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    id TEXT NOT NULL DEFAULT ('ident-' || replace(gen_random_uuid()::text, '-', '')),
    PRIMARY KEY (issuer, subject)
);
CREATE UNIQUE INDEX person_identities_id_key ON person_identities(id);
CREATE UNIQUE INDEX person_identities_person_id_issuer_key ON person_identities(person_id, issuer);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    secret_hmac BYTEA NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_used_at TIMESTAMPTZ(6),
    revoked_at TIMESTAMPTZ(6),
    created_by TEXT,
    expires_at TIMESTAMPTZ(6),
    models TEXT[] NOT NULL DEFAULT ARRAY['*']::TEXT[],
    person_id TEXT REFERENCES people ON DELETE RESTRICT ON UPDATE CASCADE,
    replaced_by TEXT,
    rotated_at TIMESTAMPTZ(6),
    scopes TEXT[] NOT NULL DEFAULT ARRAY['*']::TEXT[],
    made_by_key TEXT,
    pepper_version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT api_keys_role_check CHECK (role IN ('admin', 'member', 'viewer')),
    CONSTRAINT api_keys_secret_hmac_check CHECK (octet_length(secret_hmac) = 32)
);
CREATE INDEX api_keys_made_by_key_idx ON api_keys(made_by_key);
CREATE INDEX api_keys_person_id_idx ON api_keys(person_id);
CREATE INDEX api_keys_replaced_by_idx ON api_keys(replaced_by);
CREATE INDEX api_keys_team_id_created_at_idx ON api_keys(team_id, created_at);
CREATE INDEX api_keys_team_id_person_id_idx ON api_keys(team_id, person_id);

CREATE TABLE operator_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    person_id TEXT REFERENCES people ON DELETE RESTRICT ON UPDATE CASCADE,
    secret_hmac BYTEA NOT NULL,
    created_by TEXT,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_used_at TIMESTAMPTZ(6),
    expires_at TIMESTAMPTZ(6),
    revoked_at TIMESTAMPTZ(6),
    made_by_key TEXT,
    pepper_version INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX operator_keys_created_at_id_idx ON operator_keys(created_at, id);
CREATE INDEX operator_keys_made_by_key_idx ON operator_keys(made_by_key);
CREATE INDEX operator_keys_person_id_idx ON operator_keys(person_id);

CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    email TEXT,
    role TEXT NOT NULL,
    token_hmac BYTEA NOT NULL,
    created_by TEXT,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMPTZ(6) NOT NULL,
    accepted_at TIMESTAMPTZ(6),
    accepted_by TEXT,
    revoked_at TIMESTAMPTZ(6),
    made_by_key TEXT,
    pepper_version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT invitations_role_known CHECK (role IN ('viewer', 'member', 'admin'))
);
CREATE INDEX invitations_made_by_key_idx ON invitations(made_by_key);
CREATE INDEX invitations_team_id_created_at_id_idx ON invitations(team_id, created_at, id);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    secret_hmac BYTEA NOT NULL,
    person_id TEXT REFERENCES people ON DELETE CASCADE ON UPDATE CASCADE,
    api_key_id TEXT REFERENCES api_keys ON DELETE CASCADE ON UPDATE CASCADE,
    operator_key_id TEXT REFERENCES operator_keys ON DELETE CASCADE ON UPDATE CASCADE,
    chosen_team_id TEXT REFERENCES teams ON DELETE SET NULL ON UPDATE CASCADE,
    flow_id TEXT,
    user_agent TEXT,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_used_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMPTZ(6) NOT NULL,
    ended_at TIMESTAMPTZ(6),
    identity_id TEXT,
    authenticated_at TIMESTAMPTZ(6),
    operator_used_at TIMESTAMPTZ(6),
    provider_session_id TEXT,
    pepper_version INTEGER NOT NULL DEFAULT 1,
    -- A session belongs to one of the three.
    CONSTRAINT sessions_of_one CHECK (num_nonnulls(person_id, api_key_id, operator_key_id) = 1)
);
CREATE INDEX sessions_api_key_id_created_at_idx ON sessions(api_key_id, created_at);
CREATE INDEX sessions_expires_at_idx ON sessions(expires_at);
CREATE UNIQUE INDEX sessions_flow_id_key ON sessions(flow_id);
CREATE INDEX sessions_operator_key_id_created_at_idx ON sessions(operator_key_id, created_at);
CREATE INDEX sessions_person_id_created_at_idx ON sessions(person_id, created_at);
CREATE INDEX sessions_provider_session_id_idx ON sessions(provider_session_id);

-- Used logout tokens: each is accepted once.
CREATE TABLE logout_tokens (
    issuer TEXT NOT NULL,
    token_id TEXT NOT NULL,
    expires_at TIMESTAMPTZ(6) NOT NULL,
    PRIMARY KEY (issuer, token_id)
);
CREATE INDEX logout_tokens_expires_at_idx ON logout_tokens(expires_at);

-- Tokens that a directory (Entra, Okta) sends with its requests.
CREATE TABLE scim_tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hmac BYTEA NOT NULL,
    pepper_version INTEGER NOT NULL DEFAULT 1,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_used_at TIMESTAMPTZ(6),
    expires_at TIMESTAMPTZ(6),
    revoked_at TIMESTAMPTZ(6)
);

-- People as a directory describes them.
CREATE TABLE scim_users (
    person_id TEXT PRIMARY KEY REFERENCES people ON DELETE CASCADE ON UPDATE CASCADE,
    user_name TEXT NOT NULL,
    user_name_key TEXT NOT NULL,
    external_id TEXT,
    attributes JSONB NOT NULL,
    active BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX scim_users_created_at_person_id_idx ON scim_users(created_at, person_id);
CREATE INDEX scim_users_external_id_idx ON scim_users(external_id);
CREATE UNIQUE INDEX scim_users_user_name_key_key ON scim_users(user_name_key);

-- Usage -------------------------------------------------------------------------------------------------------

-- Refuses changes by every login, that of the tables' owner included.
CREATE FUNCTION graft_guard_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger of usage is only added to' USING ERRCODE = 'GU001';
END
$$;

-- Every use. An entry is never changed or removed; another one corrects a mistake. It outlives its team and what it counts, so it has no
-- foreign key.
CREATE TABLE usage_ledger (
    id BIGSERIAL PRIMARY KEY,
    team_id TEXT NOT NULL,
    at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    kind TEXT NOT NULL,
    quantity NUMERIC(20,3) NOT NULL,
    subject TEXT NOT NULL,
    key_id TEXT,
    model TEXT,
    base_model TEXT,
    job_id TEXT,
    CONSTRAINT usage_ledger_kind_check CHECK (kind IN
        ('trained_tokens', 'device_seconds', 'stored_bytes', 'input_tokens', 'output_tokens')),
    CONSTRAINT usage_ledger_whole_check CHECK (kind = 'device_seconds' OR quantity = trunc(quantity))
);
-- The operator reads entries of all teams by time; they are stored in that order.
CREATE INDEX usage_ledger_at_idx ON usage_ledger USING BRIN (at);
-- The bytes stored at a time are the sum of all such entries before it, which are few.
CREATE INDEX usage_ledger_stored_idx ON usage_ledger(team_id, at) WHERE kind = 'stored_bytes';
CREATE INDEX usage_ledger_team_id_at_idx ON usage_ledger(team_id, at);
CREATE INDEX usage_ledger_team_id_subject_kind_idx ON usage_ledger(team_id, subject, kind);
CREATE TRIGGER usage_ledger_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION graft_guard_ledger();

-- The operator's price of a unit, from a time until the next price of the same. `model`: a base model, or * for all without another price.
CREATE TABLE usage_prices (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    model TEXT NOT NULL DEFAULT '*',
    price NUMERIC(20,10) NOT NULL,
    valid_from TIMESTAMPTZ(6) NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT usage_prices_price_check CHECK (price >= 0)
);
CREATE INDEX usage_prices_created_at_id_idx ON usage_prices(created_at, id);
CREATE UNIQUE INDEX usage_prices_kind_model_valid_from_key ON usage_prices(kind, model, valid_from);

-- A team's limit for a calendar month, in UTC.
CREATE TABLE team_budgets (
    team_id TEXT PRIMARY KEY REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    monthly NUMERIC(20,6) NOT NULL,
    warn_at DOUBLE PRECISION NOT NULL DEFAULT 0.8,
    stops BOOLEAN NOT NULL DEFAULT true,
    updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT team_budgets_monthly_check CHECK (monthly >= 0)
);

-- Notices sent about a budget: each once a month.
CREATE TABLE budget_notices (
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    month DATE NOT NULL,
    level TEXT NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (team_id, month, level)
);

-- Stored objects ----------------------------------------------------------------------------------------------

-- The name of a stored object ends with the second of its creation, in hexadecimal. No new row may refer to one older than half a day; the
-- collector removes those without a row after a day. So an object that it finds without a row stays without one.
CREATE FUNCTION refuse_old_object() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name TEXT := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF name ~ '-[0-9a-f]{8}$'
        AND ('x' || right(name, 8))::bit(32)::bigint < extract(epoch FROM clock_timestamp()) - 12 * 3600 THEN
        RAISE EXCEPTION 'the object % was stored too long ago to be given a row', name USING ERRCODE = 'GO001';
    END IF;
    RETURN NEW;
END
$$;

-- Adds an entry to the ledger wherever a row with stored bytes is inserted, changed or deleted, by a cascade too: the sum of the entries is
-- what is stored. A deletion takes back what was entered, under the same key and model. An export has no bytes until it is written.
CREATE FUNCTION graft_meter_stored() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- Files -------------------------------------------------------------------------------------------------------

CREATE TABLE files (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    path TEXT NOT NULL,
    status TEXT NOT NULL,
    format TEXT,
    examples INTEGER,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    verified_at TIMESTAMPTZ(6),
    corrupt_at TIMESTAMPTZ(6),
    key_id TEXT,
    answer_characters BIGINT,
    system_prompt TEXT,
    columns JSONB,
    CONSTRAINT files_status_check CHECK (status IN ('uploaded', 'processed', 'error'))
);
CREATE UNIQUE INDEX files_path_key ON files(path);
CREATE INDEX files_team_id_created_at_id_idx ON files(team_id, created_at, id);
CREATE INDEX files_team_id_filename_created_at_id_idx ON files(team_id, filename, created_at, id);
CREATE UNIQUE INDEX files_team_id_id_key ON files(team_id, id);
CREATE INDEX files_team_id_sha256_idx ON files(team_id, sha256);
CREATE INDEX files_verified_at_idx ON files(verified_at);
CREATE TRIGGER files_meter AFTER INSERT OR DELETE OR UPDATE OF bytes ON files
    FOR EACH ROW EXECUTE FUNCTION graft_meter_stored();
CREATE TRIGGER files_refuse_old_object BEFORE INSERT OR UPDATE OF path ON files
    FOR EACH ROW EXECUTE FUNCTION refuse_old_object('path');

-- Files that are sent in parts. `remaining_bytes` and `part_count` are sums over the parts, so that one guarded update refuses a part that
-- is too large. `claim` names the process that joins the parts, until `claim_until`.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    key_id TEXT,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    remaining_bytes BIGINT NOT NULL,
    part_count INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT 'pending',
    claim TEXT,
    claim_until TIMESTAMPTZ(6),
    completed_with TEXT,
    file_id TEXT,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMPTZ(6) NOT NULL,
    ended_at TIMESTAMPTZ(6),
    CONSTRAINT uploads_bytes_check CHECK (bytes > 0 AND remaining_bytes BETWEEN 0 AND bytes),
    CONSTRAINT uploads_completed_check CHECK ((status = 'completed') = (file_id IS NOT NULL)),
    CONSTRAINT uploads_status_check CHECK (status IN ('pending', 'completed', 'cancelled', 'expired'))
);
CREATE INDEX uploads_status_expires_at_idx ON uploads(status, expires_at);
CREATE INDEX uploads_team_id_created_at_id_idx ON uploads(team_id, created_at, id);
CREATE UNIQUE INDEX uploads_team_id_id_key ON uploads(team_id, id);

CREATE TABLE upload_parts (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    upload_id TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    path TEXT NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (team_id, upload_id) REFERENCES uploads (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX upload_parts_path_key ON upload_parts(path);
CREATE INDEX upload_parts_team_id_upload_id_created_at_id_idx ON upload_parts(team_id, upload_id, created_at, id);
CREATE UNIQUE INDEX upload_parts_team_id_upload_id_sha256_bytes_key ON upload_parts(team_id, upload_id, sha256, bytes);
CREATE TRIGGER upload_parts_meter AFTER INSERT OR DELETE OR UPDATE OF bytes ON upload_parts
    FOR EACH ROW EXECUTE FUNCTION graft_meter_stored();
-- A part's bytes are a stored object, as a file's are.
CREATE TRIGGER upload_parts_refuse_old_object BEFORE INSERT OR UPDATE OF path ON upload_parts
    FOR EACH ROW EXECUTE FUNCTION refuse_old_object('path');

-- Bytes that requests of a team with a quota are receiving, which count before they are a file. Those of a part (`upload_id`) count within
-- what the upload has announced.
CREATE TABLE incoming_bytes (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    upload_id TEXT,
    bytes BIGINT NOT NULL,
    expires_at TIMESTAMPTZ(6) NOT NULL,
    CONSTRAINT incoming_bytes_bytes_check CHECK (bytes >= 0)
);
CREATE INDEX incoming_bytes_team_id_idx ON incoming_bytes(team_id);

-- The content of a team's file, as computed for one base model and one limit; `key` is a digest of everything that it depends on.
CREATE TABLE file_reports (
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    key TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    model TEXT,
    max_seq_length INTEGER,
    status TEXT NOT NULL DEFAULT 'running',
    progress JSONB,
    result JSONB,
    error JSONB,
    attempts INTEGER NOT NULL DEFAULT 0,
    holder TEXT,
    lease_until TIMESTAMPTZ(6),
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    started_at TIMESTAMPTZ(6),
    ended_at TIMESTAMPTZ(6),
    columns JSONB,
    PRIMARY KEY (team_id, key),
    CONSTRAINT file_reports_error_length_check CHECK (length(error::text) <= 200000),
    CONSTRAINT file_reports_status_check CHECK (status IN ('running', 'ready', 'failed'))
);
CREATE INDEX file_reports_status_created_at_idx ON file_reports(status, created_at);
CREATE INDEX file_reports_team_id_sha256_idx ON file_reports(team_id, sha256);

CREATE TABLE validation_results (
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    key TEXT NOT NULL,
    error JSONB,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    tokens BIGINT,
    counts JSONB,
    PRIMARY KEY (team_id, key),
    CONSTRAINT validation_results_error_length_check CHECK (length(error::text) <= 200000)
);
CREATE INDEX validation_results_team_id_created_at_idx ON validation_results(team_id, created_at);

-- Jobs --------------------------------------------------------------------------------------------------------

-- The last defence behind the guarded updates of packages/service/src/jobs.
CREATE FUNCTION graft_guard_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD."state" IN ('succeeded', 'failed', 'cancelled') AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'job % is %: a finished job never changes', OLD."id", OLD."state" USING ERRCODE = 'GJ001';
    END IF;
    IF NEW."lease_epoch" < OLD."lease_epoch" THEN
        RAISE EXCEPTION 'job %: the lease epoch never falls', OLD."id" USING ERRCODE = 'GJ002';
    END IF;
    RETURN NEW;
END
$$;

-- Copies jobs.metadata, which never changes, into a table by which jobs are found: behind row-level security Postgres uses no index on
-- the content of a document.
CREATE FUNCTION graft_index_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO "job_metadata" ("team_id", "job_id", "key", "value")
        SELECT NEW."team_id", NEW."id", pair.key, pair.value FROM jsonb_each_text(NEW."metadata") AS pair;
    RETURN NULL;
END
$$;

-- Refuses a sweep's steps by processes that do not know trials, as if another had the lease.
CREATE FUNCTION graft_guard_sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD."state" = 'validating' AND NEW."state" = 'queued' AND EXISTS (
        SELECT 1 FROM "job_trials" WHERE "team_id" = NEW."team_id" AND "job_id" = NEW."id" AND "resolved_training" IS NULL) THEN
        RETURN NULL;
    END IF;
    IF OLD."state" = 'dispatched' AND NEW."state" = 'running' AND EXISTS (
        SELECT 1 FROM "workers" WHERE "id" = NEW."worker_id" AND NOT coalesce("capabilities" ? 'sweeps', false)) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    key_id TEXT,
    state TEXT NOT NULL,
    model TEXT NOT NULL,
    suffix TEXT,
    seed INTEGER NOT NULL,
    training_file_id TEXT NOT NULL,
    validation_file_id TEXT,
    method TEXT NOT NULL DEFAULT 'supervised',
    hyperparameters JSONB NOT NULL,
    peft JSONB NOT NULL,
    training JSONB NOT NULL,
    resolved_training JSONB,
    metadata JSONB,
    progress JSONB,
    error JSONB,
    fine_tuned_model TEXT,
    trained_tokens BIGINT,
    request_hash TEXT,
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_until TIMESTAMPTZ(6),
    worker_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    attempts_since_checkpoint INTEGER NOT NULL DEFAULT 0,
    last_checkpoint_step INTEGER,
    run_after TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    cancel_requested_at TIMESTAMPTZ(6),
    pause_requested_at TIMESTAMPTZ(6),
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    dispatched_at TIMESTAMPTZ(6),
    started_at TIMESTAMPTZ(6),
    finished_at TIMESTAMPTZ(6),
    avoid_worker TEXT,
    environment_faults INTEGER NOT NULL DEFAULT 0,
    requirements JSONB,
    validation_attempts INTEGER NOT NULL DEFAULT 0,
    validation_progress JSONB,
    trace_context TEXT,
    planned_tokens BIGINT,
    preempt_requested_at TIMESTAMPTZ(6),
    priority INTEGER NOT NULL DEFAULT 0,
    start_from_id TEXT,
    start_from_model TEXT,
    integrations JSONB NOT NULL DEFAULT '[]',
    training_end JSONB,
    estimate JSONB,
    sweep JSONB,
    person_id TEXT,
    lease_token TEXT,
    data_counts JSONB,
    system_prompt TEXT,
    training_files JSONB,
    validation_files JSONB,
    data_file_ids TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    CONSTRAINT jobs_attempts_check CHECK
        (attempts >= 0 AND attempts_since_checkpoint >= 0 AND validation_attempts >= 0 AND environment_faults >= 0),
    CONSTRAINT jobs_error_length_check CHECK (length(error::text) <= 200000),
    CONSTRAINT jobs_priority_check CHECK (priority BETWEEN -1 AND 1),
    CONSTRAINT jobs_running_lease_check CHECK (state <> 'running' OR lease_until IS NOT NULL),
    CONSTRAINT jobs_state_check CHECK (state IN
        ('validating', 'queued', 'dispatched', 'running', 'paused', 'succeeded', 'failed', 'cancelled'))
);
-- The jobs that need a file, looked up when it is deleted. Only jobs with several files have entries.
CREATE INDEX jobs_data_file_ids_idx ON jobs USING GIN (data_file_ids);
-- The live jobs, which are few among all that ever ran, in the order within a team: a job of high priority counts as a day older than it
-- is, one of low priority as a day younger. So a job rises as it waits, and the order of two never changes by itself.
CREATE INDEX jobs_live_idx ON jobs(state, team_id,
        ((created_at AT TIME ZONE 'UTC') - priority * interval '24 hours'), id)
    WHERE state IN ('validating', 'queued', 'dispatched', 'running');
-- The jobs that use a model, counted before it is removed.
CREATE INDEX jobs_model_under_way_idx ON jobs(model) WHERE state NOT IN ('succeeded', 'failed', 'cancelled');
-- Metrics count paused jobs at every scrape.
CREATE INDEX jobs_paused_idx ON jobs(team_id) WHERE state = 'paused';
CREATE INDEX jobs_team_id_created_at_id_idx ON jobs(team_id, created_at, id);
CREATE UNIQUE INDEX jobs_team_id_id_key ON jobs(team_id, id);
CREATE INDEX jobs_team_id_key_id_request_hash_created_at_idx ON jobs(team_id, key_id, request_hash, created_at);
CREATE INDEX jobs_team_id_model_created_at_id_idx ON jobs(team_id, model, created_at, id);
CREATE INDEX jobs_team_id_start_from_id_idx ON jobs(team_id, start_from_id);
CREATE INDEX jobs_team_id_state_created_at_id_idx ON jobs(team_id, state, created_at, id);
-- The jobs that need a file, looked up when it is deleted: a team may have a hundred thousand jobs.
CREATE INDEX jobs_team_id_training_file_id_idx ON jobs(team_id, training_file_id);
CREATE INDEX jobs_team_id_validation_file_id_idx ON jobs(team_id, validation_file_id);
-- The tokens that a team trained since a day.
CREATE INDEX jobs_trained_idx ON jobs(team_id, finished_at) INCLUDE (trained_tokens) WHERE trained_tokens IS NOT NULL;
-- The teams whose jobs are being validated, read at every turn.
CREATE INDEX jobs_validation_leased_idx ON jobs(team_id, lease_until) WHERE state = 'validating' AND lease_until IS NOT NULL;
CREATE TRIGGER jobs_guard BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION graft_guard_job();
CREATE TRIGGER jobs_guard_sweep BEFORE UPDATE OF state ON jobs FOR EACH ROW WHEN (NEW.sweep IS NOT NULL)
    EXECUTE FUNCTION graft_guard_sweep();
CREATE TRIGGER jobs_index_metadata AFTER INSERT ON jobs FOR EACH ROW
    WHEN (jsonb_typeof(NEW.metadata) = 'object') EXECUTE FUNCTION graft_index_metadata();

CREATE TABLE job_metadata (
    team_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (team_id, job_id, key),
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX job_metadata_team_id_key_value_job_id_idx ON job_metadata(team_id, key, value, job_id);

-- One row for each trial of a sweep, from its request on. Its state is that of the job's newest checkpoint, or later.
CREATE TABLE job_trials (
    team_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    trial INTEGER NOT NULL,
    peft JSONB NOT NULL,
    training JSONB NOT NULL,
    resolved_training JSONB,
    status TEXT NOT NULL DEFAULT 'waiting',
    step INTEGER NOT NULL DEFAULT 0,
    rungs JSONB NOT NULL DEFAULT '[]',
    PRIMARY KEY (team_id, job_id, trial),
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT job_trials_status_check CHECK (status IN ('waiting', 'running', 'stopped', 'diverged', 'won'))
);

CREATE TABLE job_events (
    id TEXT PRIMARY KEY,
    seq BIGSERIAL NOT NULL,
    team_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    level TEXT NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    data JSONB,
    -- The time of the event, not that of its transaction, which may have waited for a lock.
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT job_events_level_check CHECK (level IN ('info', 'warn', 'error')),
    CONSTRAINT job_events_message_length_check CHECK (length(message) <= 8000),
    CONSTRAINT job_events_type_check CHECK (type IN ('message', 'metrics'))
);
CREATE UNIQUE INDEX job_events_seq_key ON job_events(seq);
CREATE INDEX job_events_team_id_job_id_seq_idx ON job_events(team_id, job_id, seq);

-- Moves values that a process of the last version but one writes by column into `metrics`.
CREATE FUNCTION graft_metrics_by_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.metrics := NEW.metrics || jsonb_strip_nulls(jsonb_build_object(
        'token_accuracy', NEW.token_accuracy,
        'learning_rate', NEW.learning_rate,
        'grad_norm', NEW.grad_norm,
        'tokens_per_second', NEW.tokens_per_second,
        'memory_bytes', NEW.memory_bytes));
    NEW.token_accuracy := NULL;
    NEW.learning_rate := NULL;
    NEW.grad_norm := NULL;
    NEW.tokens_per_second := NULL;
    NEW.memory_bytes := NULL;
    RETURN NEW;
END $$;

CREATE TABLE job_metrics (
    team_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    step INTEGER NOT NULL,
    epoch DOUBLE PRECISION,
    loss DOUBLE PRECISION NOT NULL,
    metrics JSONB NOT NULL DEFAULT '{}',
    learning_rate DOUBLE PRECISION,
    grad_norm DOUBLE PRECISION,
    tokens BIGINT,
    tokens_per_second DOUBLE PRECISION,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    trial INTEGER,
    trial_step INTEGER,
    memory_bytes BIGINT,
    token_accuracy DOUBLE PRECISION,
    PRIMARY KEY (team_id, job_id, kind, step),
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT job_metrics_kind_check CHECK (kind IN ('train', 'evaluation'))
);
CREATE TRIGGER job_metrics_by_name BEFORE INSERT OR UPDATE ON job_metrics FOR EACH ROW
    WHEN (num_nonnulls(NEW.token_accuracy, NEW.learning_rate, NEW.grad_norm, NEW.tokens_per_second, NEW.memory_bytes) > 0)
    EXECUTE FUNCTION graft_metrics_by_name();

CREATE TABLE job_attempts (
    team_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    lease_epoch INTEGER NOT NULL,
    kind TEXT NOT NULL,
    worker_id TEXT NOT NULL,
    started_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ended_at TIMESTAMPTZ(6),
    from_step INTEGER,
    last_step INTEGER,
    outcome TEXT,
    reason TEXT,
    PRIMARY KEY (team_id, job_id, lease_epoch),
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT job_attempts_end_check CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    CONSTRAINT job_attempts_kind_check CHECK (kind IN ('training', 'validation')),
    CONSTRAINT job_attempts_outcome_check CHECK (outcome IN
        ('succeeded', 'failed', 'cancelled', 'paused', 'released', 'lost', 'environment')),
    CONSTRAINT job_attempts_reason_length_check CHECK (length(reason) <= 8000)
);
-- The time for which recent jobs held their slots.
CREATE INDEX job_attempts_ran_idx ON job_attempts(ended_at)
    WHERE kind = 'training' AND outcome IN ('succeeded', 'failed', 'cancelled');

CREATE TABLE checkpoints (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    metrics JSONB NOT NULL,
    path TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    digest TEXT,
    seconds DOUBLE PRECISION,
    removed_at TIMESTAMPTZ(6),
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT checkpoints_seconds_check CHECK (seconds >= 0)
);
CREATE UNIQUE INDEX checkpoints_team_id_job_id_step_key ON checkpoints(team_id, job_id, step);

CREATE TABLE idempotency_keys (
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    job_id TEXT NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    actor TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (team_id, actor, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys(created_at);

CREATE TABLE integrations (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    type TEXT NOT NULL,
    url TEXT NOT NULL,
    username TEXT,
    sealed BYTEA,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    sealed_by TEXT NOT NULL DEFAULT 'pepper:1',
    created_by TEXT,
    made_by_key TEXT,
    disabled_at TIMESTAMPTZ(6),
    disabled_reason TEXT,
    CONSTRAINT integrations_type_check CHECK (type IN ('wandb', 'mlflow', 'trackio', 'huggingface'))
);
CREATE UNIQUE INDEX integrations_team_id_type_key ON integrations(team_id, type);

CREATE TABLE job_integrations (
    team_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    type TEXT NOT NULL,
    settings JSONB NOT NULL,
    status TEXT NOT NULL DEFAULT 'active',
    run JSONB,
    train_step INTEGER NOT NULL DEFAULT -1,
    evaluation_step INTEGER NOT NULL DEFAULT -1,
    sent INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    failing_since TIMESTAMPTZ(6),
    next_attempt_at TIMESTAMPTZ(6),
    lease_until TIMESTAMPTZ(6),
    lease_token TEXT,
    PRIMARY KEY (team_id, job_id, type),
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT job_integrations_status_check CHECK (status IN ('active', 'finished', 'given_up')),
    CONSTRAINT job_integrations_type_check CHECK (type IN ('wandb', 'mlflow', 'trackio'))
);
-- The few that still have something to send.
CREATE INDEX job_integrations_due_idx ON job_integrations(next_attempt_at) WHERE status = 'active';

CREATE TABLE team_turns (
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    kind TEXT NOT NULL,
    virtual_time DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (team_id, kind)
);

CREATE TABLE turn_clocks (
    kind TEXT PRIMARY KEY,
    virtual_time DOUBLE PRECISION NOT NULL DEFAULT 0
);
INSERT INTO turn_clocks (kind) VALUES ('training'), ('validation'), ('export');

-- Returns whether a worker can run a job: as the job was run before, or, at its first claim, in the precision that it asks for. A job
-- continues with the kernels and on the model of GPU that it started with: others agree with them to rounding, not bit for bit. A worker
-- without capabilities may try anything.
CREATE FUNCTION graft_can_run(capabilities jsonb, requirements jsonb, training jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN capabilities IS NULL THEN true
        WHEN requirements IS NULL THEN
            coalesce(training->>'precision', 'auto') = 'auto' OR capabilities->'precisions' ? (training->>'precision')
        ELSE capabilities->>'device' = requirements->>'device'
            AND (capabilities->>'threads')::int >= (requirements->>'threads')::int
            AND capabilities->'precisions' ? (requirements->>'precision')
            AND coalesce(capabilities->'kernels', '["stock"]') ? coalesce(requirements->>'kernels', 'stock')
            AND (requirements->>'gpu' IS NULL OR coalesce(capabilities->'gpus', '[]') ? (requirements->>'gpu'))
    END
$$;

-- Adapters ----------------------------------------------------------------------------------------------------

CREATE TABLE adapters (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    name TEXT NOT NULL,
    base_model TEXT NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    note TEXT
);
CREATE UNIQUE INDEX adapters_team_id_base_model_name_key ON adapters(team_id, base_model, name);
CREATE INDEX adapters_team_id_created_at_id_idx ON adapters(team_id, created_at, id);
CREATE UNIQUE INDEX adapters_team_id_id_key ON adapters(team_id, id);

CREATE TABLE adapter_versions (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL,
    adapter_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    job_id TEXT,
    model_name TEXT NOT NULL,
    digest TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    files JSONB NOT NULL,
    peft JSONB NOT NULL,
    lineage JSONB NOT NULL,
    metrics JSONB,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    artifact TEXT NOT NULL,
    verified_at TIMESTAMPTZ(6),
    corrupt_at TIMESTAMPTZ(6),
    note TEXT,
    deleted_at TIMESTAMPTZ(6),
    parent_id TEXT,
    key_id TEXT,
    system_prompt TEXT,
    source_ids TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    FOREIGN KEY (team_id, adapter_id) REFERENCES adapters (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX adapter_versions_artifact_idx ON adapter_versions(artifact);
CREATE UNIQUE INDEX adapter_versions_job_id_key ON adapter_versions(job_id);
-- The versions that were combined from a given one, for the lineage.
CREATE INDEX adapter_versions_source_ids_idx ON adapter_versions USING GIN (source_ids);
CREATE UNIQUE INDEX adapter_versions_team_id_adapter_id_number_key ON adapter_versions(team_id, adapter_id, number);
-- Models are listed by the page, newest first.
CREATE INDEX adapter_versions_team_id_created_at_number_id_idx ON adapter_versions(team_id, created_at, number, id);
CREATE INDEX adapter_versions_team_id_deleted_at_id_idx ON adapter_versions(team_id, deleted_at, id);
CREATE UNIQUE INDEX adapter_versions_team_id_id_key ON adapter_versions(team_id, id);
CREATE UNIQUE INDEX adapter_versions_team_id_job_id_key ON adapter_versions(team_id, job_id);
CREATE UNIQUE INDEX adapter_versions_team_id_model_name_key ON adapter_versions(team_id, model_name);
CREATE INDEX adapter_versions_team_id_parent_id_idx ON adapter_versions(team_id, parent_id);
CREATE INDEX adapter_versions_verified_at_idx ON adapter_versions(verified_at);
CREATE TRIGGER adapter_versions_meter AFTER INSERT OR DELETE OR UPDATE OF bytes ON adapter_versions
    FOR EACH ROW EXECUTE FUNCTION graft_meter_stored();
CREATE TRIGGER adapter_versions_refuse_old_object BEFORE INSERT OR UPDATE OF artifact ON adapter_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_old_object('artifact');

-- Names that move from version to version.
CREATE TABLE adapter_tags (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    adapter_id TEXT NOT NULL,
    version_id TEXT NOT NULL,
    name TEXT NOT NULL,
    model_name TEXT NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    moved_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (team_id, adapter_id) REFERENCES adapters (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (team_id, version_id) REFERENCES adapter_versions (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX adapter_tags_team_id_adapter_id_name_key ON adapter_tags(team_id, adapter_id, name);
CREATE UNIQUE INDEX adapter_tags_team_id_model_name_key ON adapter_tags(team_id, model_name);
CREATE INDEX adapter_tags_team_id_version_id_idx ON adapter_tags(team_id, version_id);

-- Adapters of single steps, which can be called, downloaded and made versions. Unlike the checkpoints from which training continues, they
-- stay when the job has ended.
CREATE TABLE checkpoint_adapters (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    model_name TEXT NOT NULL,
    is_best BOOLEAN NOT NULL DEFAULT false,
    digest TEXT NOT NULL,
    artifact TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    files JSONB NOT NULL,
    lineage JSONB NOT NULL,
    metrics JSONB NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    verified_at TIMESTAMPTZ(6),
    corrupt_at TIMESTAMPTZ(6),
    FOREIGN KEY (team_id, job_id) REFERENCES jobs (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX checkpoint_adapters_artifact_idx ON checkpoint_adapters(artifact);
CREATE UNIQUE INDEX checkpoint_adapters_team_id_job_id_step_key ON checkpoint_adapters(team_id, job_id, step);
CREATE UNIQUE INDEX checkpoint_adapters_team_id_model_name_key ON checkpoint_adapters(team_id, model_name);
CREATE INDEX checkpoint_adapters_verified_at_idx ON checkpoint_adapters(verified_at);
CREATE TRIGGER checkpoint_adapters_meter AFTER INSERT OR DELETE OR UPDATE OF bytes ON checkpoint_adapters
    FOR EACH ROW EXECUTE FUNCTION graft_meter_stored();
CREATE TRIGGER checkpoint_adapters_refuse_old_object BEFORE INSERT OR UPDATE OF artifact ON checkpoint_adapters
    FOR EACH ROW EXECUTE FUNCTION refuse_old_object('artifact');

-- An export that has ended stays as it is.
CREATE FUNCTION graft_guard_export() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the export % has ended as %', OLD.id, OLD.status USING ERRCODE = 'GE001';
END
$$;

-- Adapter versions written in the formats of other programs: docs/decisions/0061-exports.md.
CREATE TABLE adapter_exports (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    version_id TEXT NOT NULL,
    key_id TEXT,
    format TEXT NOT NULL,
    options JSONB NOT NULL,
    fingerprint TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued',
    reserved_bytes BIGINT NOT NULL,
    done BIGINT NOT NULL DEFAULT 0,
    total BIGINT,
    artifact TEXT,
    digest TEXT,
    bytes BIGINT,
    files JSONB,
    notes TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    error JSONB,
    keep BOOLEAN NOT NULL DEFAULT false,
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_token TEXT,
    lease_until TIMESTAMPTZ(6),
    worker_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    environment_faults INTEGER NOT NULL DEFAULT 0,
    run_after TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    started_at TIMESTAMPTZ(6),
    finished_at TIMESTAMPTZ(6),
    expires_at TIMESTAMPTZ(6),
    corrupt_at TIMESTAMPTZ(6),
    FOREIGN KEY (team_id, version_id) REFERENCES adapter_versions (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT adapter_exports_bytes_check CHECK (reserved_bytes >= 0),
    CONSTRAINT adapter_exports_error_check CHECK (status <> 'failed' OR error IS NOT NULL),
    CONSTRAINT adapter_exports_error_length_check CHECK (length(error::text) <= 200000),
    CONSTRAINT adapter_exports_files_check CHECK ((status = 'succeeded') = (artifact IS NOT NULL AND bytes IS NOT NULL
        AND files IS NOT NULL AND digest IS NOT NULL)),
    CONSTRAINT adapter_exports_lease_check CHECK ((status = 'running') = (lease_until IS NOT NULL)),
    CONSTRAINT adapter_exports_status_check CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled'))
);
CREATE INDEX adapter_exports_artifact_idx ON adapter_exports(artifact);
CREATE INDEX adapter_exports_expires_at_idx ON adapter_exports(expires_at);
-- The exports that a worker may take.
CREATE INDEX adapter_exports_live_idx ON adapter_exports(team_id, created_at, id) WHERE status IN ('queued', 'running');
-- Asking twice for the same files gives one export.
CREATE UNIQUE INDEX adapter_exports_same_idx ON adapter_exports(team_id, version_id, fingerprint)
    WHERE status IN ('queued', 'running', 'succeeded') AND corrupt_at IS NULL;
CREATE UNIQUE INDEX adapter_exports_team_id_id_key ON adapter_exports(team_id, id);
CREATE INDEX adapter_exports_team_id_version_id_created_at_id_idx ON adapter_exports(team_id, version_id, created_at, id);
CREATE TRIGGER adapter_exports_guard BEFORE UPDATE ON adapter_exports FOR EACH ROW
    WHEN (OLD.status IN ('succeeded', 'failed', 'cancelled') AND (NEW.status, NEW.artifact, NEW.format, NEW.options)
        IS DISTINCT FROM (OLD.status, OLD.artifact, OLD.format, OLD.options))
    EXECUTE FUNCTION graft_guard_export();
CREATE TRIGGER adapter_exports_meter AFTER INSERT OR DELETE OR UPDATE OF bytes ON adapter_exports
    FOR EACH ROW EXECUTE FUNCTION graft_meter_stored();
CREATE TRIGGER adapter_exports_refuse_old_object BEFORE INSERT OR UPDATE OF artifact ON adapter_exports
    FOR EACH ROW EXECUTE FUNCTION refuse_old_object('artifact');

-- Versions and exports that are sent to repositories of the Hugging Face Hub: docs/decisions/0069-publications-by-the-service.md.
CREATE TABLE publications (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    version_id TEXT NOT NULL,
    export_id TEXT,
    key_id TEXT,
    format TEXT,
    repository TEXT NOT NULL,
    is_public BOOLEAN NOT NULL,
    card BOOLEAN NOT NULL DEFAULT true,
    card_text TEXT,
    status TEXT NOT NULL DEFAULT 'queued',
    error JSONB,
    commit TEXT,
    url TEXT,
    changed INTEGER,
    bytes BIGINT,
    attempts INTEGER NOT NULL DEFAULT 0,
    failing_since TIMESTAMPTZ(6),
    next_attempt_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    lease_token TEXT,
    lease_until TIMESTAMPTZ(6),
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    started_at TIMESTAMPTZ(6),
    finished_at TIMESTAMPTZ(6),
    created_by TEXT,
    FOREIGN KEY (team_id, version_id) REFERENCES adapter_versions (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT publications_commit_check CHECK ((status = 'succeeded') = (commit IS NOT NULL AND url IS NOT NULL
        AND changed IS NOT NULL AND bytes IS NOT NULL)),
    CONSTRAINT publications_error_check CHECK (status <> 'failed' OR error IS NOT NULL),
    CONSTRAINT publications_error_length_check CHECK (length(error::text) <= 200000),
    CONSTRAINT publications_finished_check CHECK ((status IN ('succeeded', 'failed')) = (finished_at IS NOT NULL)),
    CONSTRAINT publications_format_check CHECK ((export_id IS NULL) = (format IS NULL)),
    CONSTRAINT publications_lease_check CHECK ((status = 'running') = (lease_until IS NOT NULL AND lease_token IS NOT NULL)),
    CONSTRAINT publications_status_check CHECK (status IN ('queued', 'running', 'succeeded', 'failed'))
);
-- An export is kept until its publications have ended.
CREATE INDEX publications_open_export_idx ON publications(export_id) WHERE status IN ('queued', 'running');
CREATE INDEX publications_open_idx ON publications(next_attempt_at, id) WHERE status IN ('queued', 'running');
-- One at a time for each team.
CREATE UNIQUE INDEX publications_running_idx ON publications(team_id) WHERE status = 'running';
-- The Hub does not distinguish names by case.
CREATE UNIQUE INDEX publications_same_idx ON publications(team_id, version_id, coalesce(export_id, ''), lower(repository));
CREATE UNIQUE INDEX publications_team_id_id_key ON publications(team_id, id);
CREATE INDEX publications_team_id_version_id_created_at_id_idx ON publications(team_id, version_id, created_at, id);

-- To which repositories of the Hub a team may publish: docs/decisions/0080-exits-have-a-maker.md. No row: to none.
CREATE TABLE publishing_rules (
    team_id TEXT PRIMARY KEY REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    repositories TEXT[] NOT NULL,
    allow_public BOOLEAN NOT NULL DEFAULT false,
    updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- Runtimes of teams into which the version that a tag points at is loaded: docs/decisions/0070-deploy-targets.md.
CREATE TABLE deploy_targets (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    adapter_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    name TEXT NOT NULL,
    runtime TEXT NOT NULL,
    url TEXT NOT NULL,
    folder TEXT,
    model_name TEXT NOT NULL,
    versioned_names BOOLEAN NOT NULL,
    keep_seconds INTEGER NOT NULL,
    sealed BYTEA,
    sealed_by TEXT NOT NULL DEFAULT 'pepper:1',
    state TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT,
    deployed_number INTEGER,
    served_model TEXT,
    deployed_at TIMESTAMPTZ(6),
    checked_at TIMESTAMPTZ(6),
    failing_since TIMESTAMPTZ(6),
    failures INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    lease_until TIMESTAMPTZ(6),
    lease_token TEXT,
    next_attempt_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMPTZ(6),
    created_by TEXT,
    made_by_key TEXT,
    CONSTRAINT deploy_targets_keep_check CHECK (keep_seconds >= 0),
    CONSTRAINT deploy_targets_reason_check CHECK (state NOT IN ('failing', 'disabled') OR reason IS NOT NULL),
    CONSTRAINT deploy_targets_reason_length_check CHECK (length(reason) <= 8000),
    CONSTRAINT deploy_targets_state_check CHECK (state IN ('waiting', 'loading', 'deployed', 'failing', 'disabled'))
);
CREATE INDEX deploy_targets_due_idx ON deploy_targets(next_attempt_at);
-- A deleted target keeps its row until its runtime has unloaded the adapter.
CREATE UNIQUE INDEX deploy_targets_name_idx ON deploy_targets(team_id, name) WHERE deleted_at IS NULL;
CREATE INDEX deploy_targets_team_id_adapter_id_tag_idx ON deploy_targets(team_id, adapter_id, tag);
CREATE INDEX deploy_targets_team_id_created_at_id_idx ON deploy_targets(team_id, created_at, id);
CREATE UNIQUE INDEX deploy_targets_team_id_id_key ON deploy_targets(team_id, id);

-- Adapters that may still be loaded in runtimes that never answered, for the operator: docs/deploy-targets.md.
CREATE TABLE deploy_leftovers (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL,
    team_name TEXT NOT NULL,
    name TEXT NOT NULL,
    runtime TEXT NOT NULL,
    url TEXT NOT NULL,
    model_name TEXT NOT NULL,
    unreachable_since TIMESTAMPTZ(6) NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    dismissed_at TIMESTAMPTZ(6)
);
CREATE INDEX deploy_leftovers_created_at_id_idx ON deploy_leftovers(created_at, id);
CREATE INDEX deploy_leftovers_team_id_idx ON deploy_leftovers(team_id);

-- Base models -------------------------------------------------------------------------------------------------

-- The digest of each base model's weights when it was first used: every machine must have the same.
CREATE TABLE base_models (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- Base models that the operator has added, beside those of the configuration. `holder` fetches it, until `lease_until`. The bytes are on
-- each machine's disk; every copy must agree with `commit` and `files`.
CREATE TABLE added_base_models (
    id TEXT PRIMARY KEY,
    model_id TEXT NOT NULL,
    source TEXT NOT NULL,
    location TEXT NOT NULL,
    revision TEXT,
    file TEXT,
    commit TEXT,
    state TEXT NOT NULL DEFAULT 'queued',
    bytes_done BIGINT NOT NULL DEFAULT 0,
    bytes_total BIGINT,
    files JSONB,
    model_type TEXT,
    digest TEXT,
    error JSONB,
    attempts INTEGER NOT NULL DEFAULT 0,
    holder TEXT,
    lease_until TIMESTAMPTZ(6),
    not_before TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    added_by TEXT,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    started_at TIMESTAMPTZ(6),
    finished_at TIMESTAMPTZ(6),
    hidden_at TIMESTAMPTZ(6),
    CONSTRAINT added_base_models_error_length_check CHECK (length(error::text) <= 200000),
    CONSTRAINT added_base_models_lease_check CHECK ((state = 'fetching') = (holder IS NOT NULL AND lease_until IS NOT NULL)),
    CONSTRAINT added_base_models_ready_check CHECK (state <> 'ready' OR (files IS NOT NULL AND digest IS NOT NULL)),
    CONSTRAINT added_base_models_source_check CHECK (source IN ('folder', 'hub', 's3')),
    CONSTRAINT added_base_models_state_check CHECK (state IN ('queued', 'fetching', 'ready', 'failed'))
);
CREATE UNIQUE INDEX added_base_models_model_id_key ON added_base_models(model_id);
CREATE INDEX added_base_models_state_created_at_idx ON added_base_models(state, created_at);

-- Base models that only allowed teams see. A row outlives those teams: without any, no team sees the model.
CREATE TABLE limited_base_models (
    model_id TEXT PRIMARY KEY,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE base_model_rules (
    model_id TEXT NOT NULL,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    allowed BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (model_id, team_id)
);
CREATE INDEX base_model_rules_team_id_idx ON base_model_rules(team_id);

-- Workers -----------------------------------------------------------------------------------------------------

-- Keys by which workers check the API's signatures.
CREATE TABLE channel_keys (
    public_key BYTEA PRIMARY KEY,
    used_at TIMESTAMPTZ(6) NOT NULL DEFAULT now()
);

-- The process that wrote a row of `workers`: the digest of a secret that only it knows and sets for its sessions. With the workers' role,
-- only that process changes the row (packages/service/src/database/worker-grants.ts).
CREATE FUNCTION graft_writer() RETURNS TEXT LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(nullif(current_setting('graft.worker_secret', true), ''), 'UTF8')), 'hex')
$$;

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    address TEXT,
    hostname TEXT NOT NULL,
    pid INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    running INTEGER NOT NULL DEFAULT 0,
    bases TEXT[],
    load INTEGER NOT NULL DEFAULT 0,
    draining BOOLEAN NOT NULL DEFAULT false,
    started_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    heartbeat_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    capabilities JSONB,
    consecutive_faults INTEGER NOT NULL DEFAULT 0,
    quarantine_reason TEXT,
    quarantined_at TIMESTAMPTZ(6),
    process TEXT,
    process_namespace TEXT,
    version TEXT,
    protocol INTEGER,
    certificate TEXT,
    proof BYTEA,
    writer TEXT DEFAULT graft_writer(),
    CONSTRAINT workers_quarantine_check CHECK ((quarantined_at IS NULL) = (quarantine_reason IS NULL))
);

-- Webhooks ----------------------------------------------------------------------------------------------------

CREATE TABLE outbox (
    id BIGSERIAL PRIMARY KEY,
    team_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    delivered_at TIMESTAMPTZ(6),
    event_id TEXT NOT NULL DEFAULT ('evt_' || replace(gen_random_uuid()::text, '-', ''))
);
CREATE INDEX outbox_delivered_idx ON outbox(delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX outbox_pending_idx ON outbox(id) WHERE delivered_at IS NULL;
CREATE INDEX outbox_team_id_id_idx ON outbox(team_id, id);

CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    url TEXT NOT NULL,
    description TEXT,
    events TEXT[] NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    disabled_at TIMESTAMPTZ(6),
    disabled_reason TEXT,
    failing_since TIMESTAMPTZ(6),
    failures INTEGER NOT NULL DEFAULT 0,
    not_before TIMESTAMPTZ(6),
    made_by_key TEXT,
    sends_until TIMESTAMPTZ(6),
    created_by TEXT,
    CONSTRAINT webhook_endpoints_reason_length_check CHECK (length(disabled_reason) <= 8000)
);
CREATE INDEX webhook_endpoints_team_id_created_at_id_idx ON webhook_endpoints(team_id, created_at, id);
CREATE UNIQUE INDEX webhook_endpoints_team_id_id_key ON webhook_endpoints(team_id, id);

CREATE TABLE webhook_secrets (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMPTZ(6),
    sealed_by TEXT NOT NULL DEFAULT 'pepper:1',
    FOREIGN KEY (team_id, endpoint_id) REFERENCES webhook_endpoints (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX webhook_secrets_team_id_endpoint_id_created_at_idx ON webhook_secrets(team_id, endpoint_id, created_at);

CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY DEFAULT ('whdl-' || replace(gen_random_uuid()::text, '-', '')),
    team_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    outbox_id BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    event_at TIMESTAMPTZ(6) NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    lease_until TIMESTAMPTZ(6),
    next_attempt_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMPTZ(6) NOT NULL,
    last_attempt_at TIMESTAMPTZ(6),
    last_status INTEGER,
    last_error TEXT,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ended_at TIMESTAMPTZ(6),
    FOREIGN KEY (team_id, endpoint_id) REFERENCES webhook_endpoints (team_id, id) ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT webhook_deliveries_error_length_check CHECK (length(last_error) <= 8000),
    CONSTRAINT webhook_deliveries_status_check CHECK (status IN ('pending', 'delivered', 'failed'))
);
-- The sender reads only pending deliveries, which are few among all.
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries(endpoint_id, next_attempt_at) WHERE status = 'pending';
-- Deliveries that have ended are pruned.
CREATE INDEX webhook_deliveries_ended_idx ON webhook_deliveries(ended_at) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX webhook_deliveries_endpoint_id_outbox_id_key ON webhook_deliveries(endpoint_id, outbox_id);
CREATE INDEX webhook_deliveries_expiry_idx ON webhook_deliveries(expires_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_leased_idx ON webhook_deliveries(endpoint_id) WHERE lease_until IS NOT NULL;
CREATE INDEX webhook_deliveries_order_idx ON webhook_deliveries(endpoint_id, subject, outbox_id) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_team_id_endpoint_id_created_at_id_idx ON webhook_deliveries(team_id, endpoint_id, created_at, id);

-- The audit log -----------------------------------------------------------------------------------------------

CREATE TABLE audit_log (
    id BIGSERIAL PRIMARY KEY,
    team_id TEXT,
    key_id TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail JSONB,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    person_id TEXT,
    system TEXT,
    sequence BIGINT,
    hash BYTEA
);
CREATE UNIQUE INDEX audit_log_chain_idx ON audit_log(coalesce(team_id, ''), sequence);
CREATE INDEX audit_log_team_id_id_idx ON audit_log(team_id, id);
-- Entries of transactions that have not ended.
CREATE INDEX audit_log_unsealed_idx ON audit_log(id) WHERE sequence IS NULL;

-- The last entry of each chain: one for each team, and the installation's, which has the empty name.
CREATE TABLE audit_chains (
    chain TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL DEFAULT 0,
    hash BYTEA NOT NULL DEFAULT ''
);

-- How far each chain was exported to a sink. `sink`: a digest of its URL, which may hold a token.
CREATE TABLE audit_exports (
    sink TEXT NOT NULL,
    chain TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    exported_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (sink, chain)
);

-- The text that a hash covers. It is exported as it is, so that it need not be built again.
CREATE FUNCTION graft_audit_content(entry audit_log) RETURNS TEXT LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', entry.id::text, 'team_id', entry.team_id, 'sequence', entry.sequence, 'key_id', entry.key_id,
        'person_id', entry.person_id, 'system', entry.system, 'action', entry.action, 'target', entry.target,
        'detail', entry.detail,
        'created_at', to_char(entry.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    )::text
$$;

-- SHA-256 of the previous hash in hexadecimal (of the first entry: nothing), a line feed, and the content, in UTF-8.
CREATE FUNCTION graft_audit_hash(previous BYTEA, content TEXT) RETURNS BYTEA LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(convert_to(encode(previous, 'hex') || E'\n' || content, 'UTF8'))
$$;

-- Seals the entries that the transaction has added, those of a chain in their order. It runs at COMMIT, so that the lock of a chain comes
-- after all other locks and is held only for the COMMIT. Chains are locked in one order.
CREATE FUNCTION graft_seal_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
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

DO $$
BEGIN
    -- A function that runs as the owner finds only these tables, whatever the caller's search path and temporary tables are.
    EXECUTE format('ALTER FUNCTION graft_seal_audit() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$$;
-- A session keeps plans: one made while the table was small would read all of a large one.
ALTER FUNCTION graft_seal_audit() SET enable_seqscan = off;
ALTER FUNCTION graft_seal_audit() SET plan_cache_mode = force_custom_plan;

-- Clears what a writer has set: an entry's place is chosen by the database.
CREATE FUNCTION graft_unseal_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sequence := NULL;
    NEW.hash := NULL;
    RETURN NEW;
END
$$;

-- Refuses changes by every login, that of the tables' owner included. Only sealing passes: it fills in what is null, once.
CREATE FUNCTION graft_guard_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' AND OLD.sequence IS NULL AND OLD.hash IS NULL
        AND to_jsonb(NEW) - ARRAY['sequence', 'hash'] = to_jsonb(OLD) - ARRAY['sequence', 'hash'] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'GA001';
END
$$;

-- Refuses everything but longer chains.
CREATE FUNCTION graft_guard_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' AND NEW.chain = OLD.chain AND NEW.sequence > OLD.sequence THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a chain of the audit log only gets longer' USING ERRCODE = 'GA001';
END
$$;

CREATE TRIGGER audit_log_guard BEFORE DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION graft_guard_audit();
CREATE TRIGGER audit_log_kept BEFORE UPDATE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION graft_guard_audit();
CREATE CONSTRAINT TRIGGER audit_log_sealed AFTER INSERT ON audit_log DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION graft_seal_audit();
-- Also an UPDATE that finds no row. Sealing comes from a trigger.
CREATE TRIGGER audit_log_unchanged BEFORE UPDATE ON audit_log
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION graft_guard_audit();
CREATE TRIGGER audit_log_unsealed BEFORE INSERT ON audit_log
    FOR EACH ROW EXECUTE FUNCTION graft_unseal_audit();

CREATE TRIGGER audit_chains_guard BEFORE DELETE OR TRUNCATE ON audit_chains
    FOR EACH STATEMENT EXECUTE FUNCTION graft_guard_chain();
CREATE TRIGGER audit_chains_kept BEFORE UPDATE ON audit_chains
    FOR EACH ROW EXECUTE FUNCTION graft_guard_chain();
-- In sessions that act as a replica, too.
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_kept, ENABLE ALWAYS TRIGGER audit_log_unchanged,
    ENABLE ALWAYS TRIGGER audit_log_guard;
ALTER TABLE audit_chains ENABLE ALWAYS TRIGGER audit_chains_kept, ENABLE ALWAYS TRIGGER audit_chains_guard;

-- The policies of every table --------------------------------------------------------------------------------------

SELECT graft_fence(name::regclass, 'team') FROM unnest(ARRAY[
    'adapter_exports', 'adapter_tags', 'adapter_versions', 'adapters', 'api_keys', 'checkpoint_adapters', 'checkpoints',
    'deploy_leftovers', 'deploy_targets', 'file_reports', 'files', 'idempotency_keys', 'incoming_bytes', 'integrations', 'invitations',
    'job_attempts', 'job_events', 'job_integrations', 'job_metrics', 'job_trials', 'jobs', 'memberships', 'outbox', 'publications',
    'publishing_rules', 'team_turns', 'upload_parts', 'uploads', 'validation_results', 'webhook_deliveries', 'webhook_endpoints',
    'webhook_secrets'
]) AS name;
SELECT graft_fence(name::regclass, 'record') FROM unnest(ARRAY[
    'audit_log', 'job_metadata', 'usage_ledger'
]) AS name;
SELECT graft_fence(name::regclass, 'shared') FROM unnest(ARRAY[
    'added_base_models', 'base_models', 'limited_base_models', 'turn_clocks', 'usage_prices', 'workers'
]) AS name;
SELECT graft_fence(name::regclass, 'system') FROM unnest(ARRAY[
    'audit_chains', 'audit_exports', 'base_model_rules', 'budget_notices', 'channel_keys', 'installation', 'logout_tokens',
    'loop_turns', 'operator_keys', 'people', 'person_identities', 'rate_counts', 'scim_tokens', 'scim_users', 'sessions',
    'team_budgets', 'team_quotas', 'teams'
]) AS name;

-- A team reads its own rows of these, and only the operator changes them.
CREATE POLICY team_reads ON team_quotas FOR SELECT TO graft_team USING (team_id = current_setting('graft.team_id', true));
CREATE POLICY team_reads ON team_budgets FOR SELECT TO graft_team USING (team_id = current_setting('graft.team_id', true));
CREATE POLICY team_reads ON budget_notices FOR SELECT TO graft_team USING (team_id = current_setting('graft.team_id', true));
CREATE POLICY team_reads ON base_model_rules FOR SELECT TO graft_team USING (team_id = current_setting('graft.team_id', true));
-- A team may lock and change its row, and neither insert nor delete it.
CREATE POLICY team_reads ON teams FOR SELECT TO graft_team USING (id = current_setting('graft.team_id', true));
CREATE POLICY team_changes ON teams FOR UPDATE TO graft_team USING (id = current_setting('graft.team_id', true))
    WITH CHECK (id = current_setting('graft.team_id', true));
-- A team reads the people who are its members.
CREATE POLICY team_reads ON people FOR SELECT TO graft_team
    USING (EXISTS (SELECT 1 FROM memberships WHERE memberships.person_id = people.id));
-- No login of the service changes an entry or a chain.
DROP POLICY system_all ON audit_log;
CREATE POLICY system_reads ON audit_log FOR SELECT TO graft_system USING (true);
CREATE POLICY system_adds ON audit_log FOR INSERT TO graft_system WITH CHECK (true);
DROP POLICY system_all ON audit_chains;
CREATE POLICY system_reads ON audit_chains FOR SELECT TO graft_system USING (true);
SELECT graft_grant(name::regclass) FROM unnest(ARRAY[
    'team_quotas', 'team_budgets', 'budget_notices', 'base_model_rules', 'teams', 'people', 'audit_log', 'audit_chains'
]) AS name;
