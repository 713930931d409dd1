-- The second fence between teams: docs/decisions/0012-row-level-security.md.

-- Roles belong to the cluster, not to the database: they may be there, and others may be making them at this moment.
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

-- What the policies of a fenced table let the two roles do, as privileges. Dumps are made without privileges: after a restore this
-- gives them anew.
CREATE FUNCTION "graft_grant"("target" regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    counter regclass;
    command TEXT;
BEGIN
    EXECUTE format('REVOKE ALL ON TABLE %s FROM graft_team, graft_system', target);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO graft_system', target);
    FOR command IN
        SELECT CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
            ELSE 'SELECT, INSERT, UPDATE, DELETE' END
        FROM pg_policy WHERE polrelid = target AND polroles @> ARRAY['graft_team'::regrole::oid]
    LOOP
        EXECUTE format('GRANT %s ON TABLE %s TO graft_team', command, target);
    END LOOP;
    FOR counter IN
        SELECT objid::regclass FROM pg_depend JOIN pg_class ON pg_class.oid = objid
        WHERE refobjid = target AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND relkind = 'S'
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO graft_team, graft_system', counter);
    END LOOP;
END
$$;

-- Fences a table; every one needs it. `team`: a team has the rows with its team_id. `record`: it reads those and adds to them, and
-- never changes one. `shared`: teams read all. `system`: no team has any. graft_system has all rows of each.
CREATE FUNCTION "graft_fence"("target" regclass, "kind" TEXT DEFAULT 'team') RETURNS void LANGUAGE plpgsql AS $$
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

-- Those that there are, whichever migrations came before.
SELECT graft_fence(attrelid::regclass, CASE relname WHEN 'audit_log' THEN 'record' ELSE 'team' END)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE attname = 'team_id' AND NOT attisdropped AND relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace;

SELECT graft_fence('workers', 'shared'), graft_fence('base_models', 'shared'), graft_fence('installation', 'system'),
    graft_fence('loop_turns', 'system');

-- A team's own row: it may be locked, and changed, and neither made nor removed by the team.
SELECT graft_fence('teams', 'system');
CREATE POLICY team_reads ON "teams" FOR SELECT TO graft_team USING (id = current_setting('graft.team_id', true));
CREATE POLICY team_changes ON "teams" FOR UPDATE TO graft_team USING (id = current_setting('graft.team_id', true))
    WITH CHECK (id = current_setting('graft.team_id', true));
SELECT graft_grant('teams');
