-- AlterTable: the adapter version that training goes on from (it may be gone once the job is over), and where metrics are sent.
ALTER TABLE "jobs" ADD COLUMN "start_from_id" TEXT;
ALTER TABLE "jobs" ADD COLUMN "start_from_model" TEXT;
ALTER TABLE "jobs" ADD COLUMN "integrations" JSONB NOT NULL DEFAULT '[]';

-- CreateTable
CREATE TABLE "job_metadata" (
    "team_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "value" TEXT NOT NULL,

    CONSTRAINT "job_metadata_pkey" PRIMARY KEY ("team_id","job_id","key")
);

-- CreateTable
CREATE TABLE "integrations" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "username" TEXT,
    "sealed" BYTEA,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "integrations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "job_integrations" (
    "team_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "settings" JSONB NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'active',
    "run" JSONB,
    "train_step" INTEGER NOT NULL DEFAULT -1,
    "evaluation_step" INTEGER NOT NULL DEFAULT -1,
    "sent" INTEGER NOT NULL DEFAULT 0,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "refusals" INTEGER NOT NULL DEFAULT 0,
    "failing_since" TIMESTAMPTZ(6),
    "next_attempt_at" TIMESTAMPTZ(6),
    "lease_until" TIMESTAMPTZ(6),
    "lease_token" TEXT,

    CONSTRAINT "job_integrations_pkey" PRIMARY KEY ("team_id","job_id","type")
);

-- CreateIndex
CREATE INDEX "job_metadata_team_id_key_value_job_id_idx" ON "job_metadata"("team_id", "key", "value", "job_id");

-- CreateIndex
CREATE UNIQUE INDEX "integrations_team_id_type_key" ON "integrations"("team_id", "type");

-- CreateIndex
CREATE INDEX "jobs_team_id_state_created_at_id_idx" ON "jobs"("team_id", "state", "created_at", "id");

-- CreateIndex
CREATE INDEX "jobs_team_id_model_created_at_id_idx" ON "jobs"("team_id", "model", "created_at", "id");

-- CreateIndex
CREATE INDEX "jobs_team_id_start_from_id_idx" ON "jobs"("team_id", "start_from_id");

-- CreateIndex
CREATE INDEX "idempotency_keys_created_at_idx" ON "idempotency_keys"("created_at");

-- CreateIndex
CREATE INDEX "files_team_id_filename_created_at_id_idx" ON "files"("team_id", "filename", "created_at", "id");

-- AddForeignKey
ALTER TABLE "job_metadata" ADD CONSTRAINT "job_metadata_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "integrations" ADD CONSTRAINT "integrations_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "job_integrations" ADD CONSTRAINT "job_integrations_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What Prisma does not model --------------------------------------------------------------------------------------

ALTER TABLE "integrations" ADD CONSTRAINT "integrations_type_check" CHECK ("type" IN ('wandb', 'mlflow', 'trackio'));
ALTER TABLE "job_integrations" ADD CONSTRAINT "job_integrations_type_check" CHECK ("type" IN ('wandb', 'mlflow', 'trackio'));
ALTER TABLE "job_integrations" ADD CONSTRAINT "job_integrations_status_check"
    CHECK ("status" IN ('active', 'finished', 'given_up'));

-- What is to be sent, which is little among all that was.
CREATE INDEX "job_integrations_due_idx" ON "job_integrations"("next_attempt_at") WHERE "status" = 'active';

-- Pairs by which jobs are found. They are those of jobs.metadata, which never changes; a table, since behind row-level security Postgres
-- uses no index on what lies within a document. By a trigger, so that jobs that an earlier version makes have them, too.
CREATE FUNCTION "graft_index_metadata"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO "job_metadata" ("team_id", "job_id", "key", "value")
        SELECT NEW."team_id", NEW."id", pair.key, pair.value FROM jsonb_each_text(NEW."metadata") AS pair;
    RETURN NULL;
END
$$;
CREATE TRIGGER "jobs_index_metadata" AFTER INSERT ON "jobs" FOR EACH ROW
    WHEN (jsonb_typeof(NEW."metadata") = 'object') EXECUTE FUNCTION "graft_index_metadata"();
INSERT INTO "job_metadata" ("team_id", "job_id", "key", "value")
    SELECT "team_id", "id", pair.key, pair.value FROM "jobs", jsonb_each_text("metadata") AS pair
    WHERE jsonb_typeof("metadata") = 'object';

SELECT graft_fence('job_metadata', 'record'), graft_fence('integrations'), graft_fence('job_integrations');
