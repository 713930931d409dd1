-- Of checkpoints that earlier versions wrote, nobody knows them.
ALTER TABLE "checkpoints" ADD COLUMN "digest" TEXT,
ADD COLUMN "seconds" DOUBLE PRECISION,
ADD COLUMN "removed_at" TIMESTAMPTZ(6);

-- AddConstraint
ALTER TABLE "checkpoints" ADD CONSTRAINT "checkpoints_seconds_check" CHECK ("seconds" >= 0);
