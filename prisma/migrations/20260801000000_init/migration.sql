-- CreateTable
CREATE TABLE "installation" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "installation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "teams" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "running_limit" INTEGER NOT NULL DEFAULT 8,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "teams_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "secret_hmac" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_used_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "files" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "filename" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "sha256" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "format" TEXT,
    "examples" INTEGER,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "files_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "jobs" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "key_id" TEXT,
    "state" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "suffix" TEXT,
    "seed" INTEGER NOT NULL,
    "training_file_id" TEXT NOT NULL,
    "validation_file_id" TEXT,
    "method" TEXT NOT NULL DEFAULT 'supervised',
    "hyperparameters" JSONB NOT NULL,
    "peft" JSONB NOT NULL,
    "training" JSONB NOT NULL,
    "resolved_training" JSONB,
    "metadata" JSONB,
    "progress" JSONB,
    "error" JSONB,
    "fine_tuned_model" TEXT,
    "trained_tokens" BIGINT,
    "request_hash" TEXT,
    "lease_epoch" INTEGER NOT NULL DEFAULT 0,
    "lease_until" TIMESTAMPTZ(6),
    "worker_id" TEXT,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "attempts_since_checkpoint" INTEGER NOT NULL DEFAULT 0,
    "last_checkpoint_step" INTEGER,
    "run_after" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "cancel_requested_at" TIMESTAMPTZ(6),
    "pause_requested_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "dispatched_at" TIMESTAMPTZ(6),
    "started_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),

    CONSTRAINT "jobs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "job_events" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "team_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "level" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "data" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "job_events_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "job_metrics" (
    "team_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "epoch" DOUBLE PRECISION,
    "loss" DOUBLE PRECISION NOT NULL,
    "token_accuracy" DOUBLE PRECISION,
    "learning_rate" DOUBLE PRECISION,
    "grad_norm" DOUBLE PRECISION,
    "tokens" BIGINT,
    "tokens_per_second" DOUBLE PRECISION,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "job_metrics_pkey" PRIMARY KEY ("team_id","job_id","kind","step")
);

-- CreateTable
CREATE TABLE "checkpoints" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "metrics" JSONB NOT NULL,
    "path" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "checkpoints_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "adapters" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "base_model" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "adapters_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "adapter_versions" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "adapter_id" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "job_id" TEXT NOT NULL,
    "model_name" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "files" JSONB NOT NULL,
    "peft" JSONB NOT NULL,
    "lineage" JSONB NOT NULL,
    "metrics" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "adapter_versions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "workers" (
    "id" TEXT NOT NULL,
    "address" TEXT,
    "hostname" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "slots" INTEGER NOT NULL,
    "running" INTEGER NOT NULL DEFAULT 0,
    "bases" TEXT[],
    "load" INTEGER NOT NULL DEFAULT 0,
    "draining" BOOLEAN NOT NULL DEFAULT false,
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "heartbeat_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workers_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "outbox" (
    "id" BIGSERIAL NOT NULL,
    "team_id" TEXT NOT NULL,
    "topic" TEXT NOT NULL,
    "payload" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "delivered_at" TIMESTAMPTZ(6),

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_log" (
    "id" BIGSERIAL NOT NULL,
    "team_id" TEXT NOT NULL,
    "key_id" TEXT,
    "action" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "detail" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_keys" (
    "team_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "request_hash" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY ("team_id","key")
);

-- CreateIndex
CREATE UNIQUE INDEX "teams_name_key" ON "teams"("name");

-- CreateIndex
CREATE INDEX "api_keys_team_id_created_at_idx" ON "api_keys"("team_id", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "files_path_key" ON "files"("path");

-- CreateIndex
CREATE INDEX "files_team_id_created_at_id_idx" ON "files"("team_id", "created_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "files_team_id_id_key" ON "files"("team_id", "id");

-- CreateIndex
CREATE INDEX "jobs_team_id_created_at_id_idx" ON "jobs"("team_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "jobs_team_id_key_id_request_hash_created_at_idx" ON "jobs"("team_id", "key_id", "request_hash", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "jobs_team_id_id_key" ON "jobs"("team_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "job_events_seq_key" ON "job_events"("seq");

-- CreateIndex
CREATE INDEX "job_events_team_id_job_id_seq_idx" ON "job_events"("team_id", "job_id", "seq");

-- CreateIndex
CREATE UNIQUE INDEX "checkpoints_team_id_job_id_step_key" ON "checkpoints"("team_id", "job_id", "step");

-- CreateIndex
CREATE INDEX "adapters_team_id_created_at_id_idx" ON "adapters"("team_id", "created_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "adapters_team_id_id_key" ON "adapters"("team_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "adapters_team_id_base_model_name_key" ON "adapters"("team_id", "base_model", "name");

-- CreateIndex
CREATE UNIQUE INDEX "adapter_versions_job_id_key" ON "adapter_versions"("job_id");

-- CreateIndex
CREATE INDEX "adapter_versions_digest_idx" ON "adapter_versions"("digest");

-- CreateIndex
CREATE UNIQUE INDEX "adapter_versions_team_id_job_id_key" ON "adapter_versions"("team_id", "job_id");

-- CreateIndex
CREATE UNIQUE INDEX "adapter_versions_team_id_adapter_id_number_key" ON "adapter_versions"("team_id", "adapter_id", "number");

-- CreateIndex
CREATE UNIQUE INDEX "adapter_versions_team_id_model_name_key" ON "adapter_versions"("team_id", "model_name");

-- CreateIndex
CREATE INDEX "outbox_team_id_id_idx" ON "outbox"("team_id", "id");

-- CreateIndex
CREATE INDEX "audit_log_team_id_id_idx" ON "audit_log"("team_id", "id");

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "files" ADD CONSTRAINT "files_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "job_events" ADD CONSTRAINT "job_events_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "job_metrics" ADD CONSTRAINT "job_metrics_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "checkpoints" ADD CONSTRAINT "checkpoints_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapters" ADD CONSTRAINT "adapters_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_team_id_adapter_id_fkey" FOREIGN KEY ("team_id", "adapter_id") REFERENCES "adapters"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What Prisma does not model --------------------------------------------------------------------------------------

ALTER TABLE "teams" ADD CONSTRAINT "teams_running_limit_check" CHECK ("running_limit" >= 0);
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_role_check" CHECK ("role" IN ('admin', 'member', 'viewer'));
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_secret_hmac_check" CHECK (octet_length("secret_hmac") = 32);
ALTER TABLE "files" ADD CONSTRAINT "files_status_check" CHECK ("status" IN ('uploaded', 'processed', 'error'));
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_state_check" CHECK ("state" IN
    ('validating', 'queued', 'dispatched', 'running', 'paused', 'succeeded', 'failed', 'cancelled'));
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_running_lease_check" CHECK ("state" <> 'running' OR "lease_until" IS NOT NULL);
ALTER TABLE "job_events" ADD CONSTRAINT "job_events_level_check" CHECK ("level" IN ('info', 'warn', 'error'));
ALTER TABLE "job_events" ADD CONSTRAINT "job_events_type_check" CHECK ("type" IN ('message', 'metrics'));
ALTER TABLE "job_metrics" ADD CONSTRAINT "job_metrics_kind_check" CHECK ("kind" IN ('train', 'evaluation'));

-- The loops look only at live jobs, which are few among all that ever ran.
CREATE INDEX "jobs_live_idx" ON "jobs"("state", "team_id", "created_at", "id")
    WHERE "state" IN ('validating', 'queued', 'dispatched', 'running');
CREATE INDEX "outbox_pending_idx" ON "outbox"("id") WHERE "delivered_at" IS NULL;

-- One row, made here: its id names this installation in a Redis that others may share.
CREATE UNIQUE INDEX "installation_single_idx" ON "installation"((true));
INSERT INTO "installation" DEFAULT VALUES;

-- Last line of defence behind the guarded updates of packages/service/src/jobs.
CREATE FUNCTION "graft_guard_job"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD."state" IN ('succeeded', 'failed', 'cancelled') AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'job % is %: a finished job never changes', OLD."id", OLD."state" USING ERRCODE = 'GJ001';
    END IF;
    IF NEW."lease_epoch" < OLD."lease_epoch" THEN
        RAISE EXCEPTION 'job %: the lease epoch never falls', OLD."id" USING ERRCODE = 'GJ002';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER "jobs_guard" BEFORE UPDATE ON "jobs" FOR EACH ROW EXECUTE FUNCTION "graft_guard_job"();
