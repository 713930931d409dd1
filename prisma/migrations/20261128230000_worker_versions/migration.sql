-- Which Graft a worker is of, so that the operator sees how far an upgrade has come. Null: of a version that did not say.
ALTER TABLE "workers" ADD COLUMN "version" TEXT;
