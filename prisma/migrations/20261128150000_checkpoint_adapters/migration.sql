-- At which step a job's training ended and why, and the step whose adapter was published. Null for jobs of versions before this.
ALTER TABLE "jobs" ADD COLUMN "training_end" JSONB;

-- Adapters of steps along the way, which can be called, downloaded and made versions. Unlike "checkpoints", which training goes on
-- from, they stay when the job is over.
CREATE TABLE "checkpoint_adapters" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "model_name" TEXT NOT NULL,
    "is_best" BOOLEAN NOT NULL DEFAULT false,
    "digest" TEXT NOT NULL,
    "artifact" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "files" JSONB NOT NULL,
    "lineage" JSONB NOT NULL,
    "metrics" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "verified_at" TIMESTAMPTZ(6),
    "corrupt_at" TIMESTAMPTZ(6),

    CONSTRAINT "checkpoint_adapters_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "checkpoint_adapters_team_id_job_id_step_key" ON "checkpoint_adapters"("team_id", "job_id", "step");
CREATE UNIQUE INDEX "checkpoint_adapters_team_id_model_name_key" ON "checkpoint_adapters"("team_id", "model_name");
CREATE INDEX "checkpoint_adapters_artifact_idx" ON "checkpoint_adapters"("artifact");
CREATE INDEX "checkpoint_adapters_verified_at_idx" ON "checkpoint_adapters"("verified_at");
ALTER TABLE "checkpoint_adapters" ADD CONSTRAINT "checkpoint_adapters_team_id_job_id_fkey" FOREIGN KEY ("team_id", "job_id") REFERENCES "jobs"("team_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TRIGGER "checkpoint_adapters_refuse_old_object" BEFORE INSERT OR UPDATE OF "artifact" ON "checkpoint_adapters"
    FOR EACH ROW EXECUTE FUNCTION "refuse_old_object"('artifact');

CREATE TRIGGER "checkpoint_adapters_meter" AFTER INSERT OR DELETE OR UPDATE OF "bytes" ON "checkpoint_adapters"
    FOR EACH ROW EXECUTE FUNCTION "graft_meter_stored"();

SELECT graft_fence('checkpoint_adapters');
