-- CreateTable
CREATE TABLE "validation_results" (
    "team_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "error" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "validation_results_pkey" PRIMARY KEY ("team_id","key")
);

-- CreateIndex
CREATE INDEX "validation_results_team_id_created_at_idx" ON "validation_results"("team_id", "created_at");

-- AddForeignKey
ALTER TABLE "validation_results" ADD CONSTRAINT "validation_results_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
