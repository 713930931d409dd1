-- What a worker's row needs before the API sends a prompt to its address: docs/decisions/0025-roles-and-secrets.md.
ALTER TABLE "workers" ADD COLUMN "certificate" TEXT, ADD COLUMN "proof" BYTEA;

-- By which workers check what an API has signed.
CREATE TABLE "channel_keys" (
    "public_key" BYTEA PRIMARY KEY,
    "used_at" TIMESTAMPTZ(6) NOT NULL DEFAULT now()
);
SELECT graft_fence('channel_keys', 'system');
