-- Which process wrote the row: the digest of a secret that it sets for its sessions, and nobody else knows. Rows of workers' role are
-- changed by their writers alone; who sets none is nobody's writer (packages/service/src/database/worker-grants.ts).
CREATE FUNCTION "graft_writer"() RETURNS TEXT LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(nullif(current_setting('graft.worker_secret', true), ''), 'UTF8')), 'hex')
$$;
ALTER TABLE "workers" ADD COLUMN "writer" TEXT;
ALTER TABLE "workers" ALTER COLUMN "writer" SET DEFAULT graft_writer();
