-- Models are listed by the page, newest first.
CREATE INDEX "adapter_versions_team_id_created_at_number_id_idx" ON "adapter_versions"("team_id", "created_at", "number", "id");
