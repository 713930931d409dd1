-- Which version of the protocol between API and worker a worker speaks: packages/service/src/generation/protocol.ts. Null: its Graft is older
-- than that number.
ALTER TABLE "workers" ADD COLUMN "protocol" INTEGER;
