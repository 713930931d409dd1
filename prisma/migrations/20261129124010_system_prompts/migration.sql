-- The system message that every example of a training file begins with. Null: they differ, have none, or it was not looked for.
ALTER TABLE "files" ADD COLUMN "system_prompt" TEXT;
-- That of the training file, which may be deleted later.
ALTER TABLE "jobs" ADD COLUMN "system_prompt" TEXT;
ALTER TABLE "adapter_versions" ADD COLUMN "system_prompt" TEXT;
