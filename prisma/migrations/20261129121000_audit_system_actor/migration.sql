-- Who acted where no key and no person did: "graft_admin" (the command on the service's machine) or "graft" itself. Rows from before
-- have none of the three in both cases, and since rows are never changed, they stay so.
ALTER TABLE "audit_log" ADD COLUMN "system" TEXT;
