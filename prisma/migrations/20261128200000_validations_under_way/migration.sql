-- Whose jobs are being validated is asked at every turn: of all that wait, and of all that ever were, only those are read.
CREATE INDEX "jobs_validation_leased_idx" ON "jobs"("team_id", "lease_until") WHERE "state" = 'validating' AND "lease_until" IS NOT NULL;
