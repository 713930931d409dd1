-- Several training and validation files of one job. The first of each list stays in "training_file_id" and "validation_file_id".
ALTER TABLE "jobs"
    ADD COLUMN "training_files" JSONB,
    ADD COLUMN "validation_files" JSONB,
    ADD COLUMN "data_file_ids" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[];

-- Which jobs need a file, asked as it is deleted. Only jobs with lists have entries.
CREATE INDEX "jobs_data_file_ids_idx" ON "jobs" USING GIN ("data_file_ids");
