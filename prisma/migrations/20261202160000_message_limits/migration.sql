-- Messages quote what users write. peft-core/src/errors.ts shortens them where they are made; these limits are the last resort. Larger ones of
-- earlier versions are shortened.
ALTER TABLE "jobs" DISABLE TRIGGER "jobs_guard";
UPDATE "jobs" SET "error" = ("error" - 'details') || jsonb_build_object('message', left("error"->>'message', 4000))
  WHERE length("error"::text) > 200000;
ALTER TABLE "jobs" ENABLE TRIGGER "jobs_guard";
UPDATE "file_reports" SET "error" = "error" || jsonb_build_object('message', left("error"->>'message', 4000)) WHERE length("error"::text) > 200000;
UPDATE "adapter_exports" SET "error" = "error" || jsonb_build_object('message', left("error"->>'message', 4000)) WHERE length("error"::text) > 200000;
UPDATE "publications" SET "error" = "error" || jsonb_build_object('message', left("error"->>'message', 4000)) WHERE length("error"::text) > 200000;
UPDATE "added_base_models" SET "error" = "error" || jsonb_build_object('message', left("error"->>'message', 4000)) WHERE length("error"::text) > 200000;
DELETE FROM "validation_results" WHERE length("error"::text) > 200000;
UPDATE "job_events" SET "message" = left("message", 8000) WHERE length("message") > 8000;
UPDATE "job_attempts" SET "reason" = left("reason", 8000) WHERE length("reason") > 8000;
UPDATE "deploy_targets" SET "reason" = left("reason", 8000) WHERE length("reason") > 8000;
UPDATE "webhook_endpoints" SET "disabled_reason" = left("disabled_reason", 8000) WHERE length("disabled_reason") > 8000;
UPDATE "webhook_deliveries" SET "last_error" = left("last_error", 8000) WHERE length("last_error") > 8000;

ALTER TABLE "jobs" ADD CONSTRAINT "jobs_error_length_check" CHECK (length("error"::text) <= 200000);
ALTER TABLE "file_reports" ADD CONSTRAINT "file_reports_error_length_check" CHECK (length("error"::text) <= 200000);
ALTER TABLE "adapter_exports" ADD CONSTRAINT "adapter_exports_error_length_check" CHECK (length("error"::text) <= 200000);
ALTER TABLE "publications" ADD CONSTRAINT "publications_error_length_check" CHECK (length("error"::text) <= 200000);
ALTER TABLE "added_base_models" ADD CONSTRAINT "added_base_models_error_length_check" CHECK (length("error"::text) <= 200000);
ALTER TABLE "validation_results" ADD CONSTRAINT "validation_results_error_length_check" CHECK (length("error"::text) <= 200000);
ALTER TABLE "job_events" ADD CONSTRAINT "job_events_message_length_check" CHECK (length("message") <= 8000);
ALTER TABLE "job_attempts" ADD CONSTRAINT "job_attempts_reason_length_check" CHECK (length("reason") <= 8000);
ALTER TABLE "deploy_targets" ADD CONSTRAINT "deploy_targets_reason_length_check" CHECK (length("reason") <= 8000);
ALTER TABLE "webhook_endpoints" ADD CONSTRAINT "webhook_endpoints_reason_length_check" CHECK (length("disabled_reason") <= 8000);
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_error_length_check" CHECK (length("last_error") <= 8000);
