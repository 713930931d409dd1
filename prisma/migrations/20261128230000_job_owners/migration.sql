-- Whose a job is: the person who asked for it, by a key or signed in. Of jobs so far their keys tell.
ALTER TABLE "jobs" ADD COLUMN "person_id" TEXT;

-- The guard lets nobody change a finished job, and finished jobs have owners, too.
ALTER TABLE "jobs" DISABLE TRIGGER "jobs_guard";
UPDATE "jobs" SET "person_id" = k."person_id"
FROM "api_keys" k WHERE k."id" = "jobs"."key_id" AND k."person_id" IS NOT NULL;
ALTER TABLE "jobs" ENABLE TRIGGER "jobs_guard";
