-- Random, by each claim: a claim that a failover of Postgres loses, and the one after it, have the same epoch and different tokens. Null:
-- of a claim by a process of an earlier version.
ALTER TABLE "jobs" ADD COLUMN "lease_token" TEXT;
