-- Who made what sends to others' servers: docs/decisions/0080-exits-have-a-maker.md. Earlier versions recorded it in the audit log alone.
ALTER TABLE "integrations" ADD COLUMN "created_by" TEXT, ADD COLUMN "made_by_key" TEXT,
    ADD COLUMN "disabled_at" TIMESTAMPTZ(6), ADD COLUMN "disabled_reason" TEXT;
ALTER TABLE "deploy_targets" ADD COLUMN "created_by" TEXT, ADD COLUMN "made_by_key" TEXT;
ALTER TABLE "publications" ADD COLUMN "created_by" TEXT;
ALTER TABLE "webhook_endpoints" ADD COLUMN "created_by" TEXT;

ALTER TABLE "deploy_targets" DROP CONSTRAINT "deploy_targets_state_check", DROP CONSTRAINT "deploy_targets_reason_check";
ALTER TABLE "deploy_targets"
    ADD CONSTRAINT "deploy_targets_state_check" CHECK ("state" IN ('waiting', 'loading', 'deployed', 'failing', 'disabled')),
    ADD CONSTRAINT "deploy_targets_reason_check" CHECK ("state" NOT IN ('failing', 'disabled') OR "reason" IS NOT NULL);

UPDATE "integrations" SET "made_by_key" = made."key_id", "created_by" = coalesce(made."person_id", made."key_id")
FROM (SELECT DISTINCT ON ("target") "target", "team_id", "key_id", "person_id" FROM "audit_log"
      WHERE "action" = 'integration.set' ORDER BY "target", "id" DESC) AS made
WHERE made."target" = "integrations"."id" AND made."team_id" = "integrations"."team_id";
UPDATE "deploy_targets" SET "made_by_key" = made."key_id", "created_by" = coalesce(made."person_id", made."key_id")
FROM (SELECT DISTINCT ON ("target") "target", "team_id", "key_id", "person_id" FROM "audit_log"
      WHERE "action" = 'deploy_target.create' ORDER BY "target", "id" DESC) AS made
WHERE made."target" = "deploy_targets"."id" AND made."team_id" = "deploy_targets"."team_id";
UPDATE "publications" SET "created_by" = coalesce((SELECT "person_id" FROM "api_keys" WHERE "api_keys"."id" = "key_id"), "key_id");
UPDATE "webhook_endpoints"
SET "created_by" = coalesce((SELECT "person_id" FROM "api_keys" WHERE "api_keys"."id" = "made_by_key"), "made_by_key");
