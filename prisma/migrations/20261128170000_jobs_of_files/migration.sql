-- Which jobs need a file, asked as it is deleted: a team may have a hundred thousand jobs.
CREATE INDEX "jobs_team_id_training_file_id_idx" ON "jobs"("team_id", "training_file_id");
CREATE INDEX "jobs_team_id_validation_file_id_idx" ON "jobs"("team_id", "validation_file_id");
