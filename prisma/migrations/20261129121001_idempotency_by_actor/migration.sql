-- An Idempotency-Key belongs to the API key, or to the person without one, that sent it. Processes of an earlier version leave the
-- column empty; the row's job says whose that is.
ALTER TABLE "idempotency_keys" ADD COLUMN "actor" TEXT NOT NULL DEFAULT '';
ALTER TABLE "idempotency_keys" DROP CONSTRAINT "idempotency_keys_pkey", ADD PRIMARY KEY ("team_id", "actor", "key");
