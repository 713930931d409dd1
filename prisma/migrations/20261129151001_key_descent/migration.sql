-- Which key made a key, an invitation or a webhook endpoint, so that all of them end when it is revoked. What earlier versions made
-- is found in the audit log, which names the key of every request.
ALTER TABLE "api_keys" ADD COLUMN "made_by_key" TEXT;
ALTER TABLE "invitations" ADD COLUMN "made_by_key" TEXT;
ALTER TABLE "webhook_endpoints" ADD COLUMN "made_by_key" TEXT;

UPDATE "api_keys" k SET "made_by_key" = a."key_id" FROM "audit_log" a
WHERE a."action" = 'api_key.create' AND a."team_id" = k."team_id" AND a."target" = k."id" AND a."key_id" IS NOT NULL;
UPDATE "invitations" i SET "made_by_key" = a."key_id" FROM "audit_log" a
WHERE a."action" = 'invitation.create' AND a."team_id" = i."team_id" AND a."target" = i."id" AND a."key_id" IS NOT NULL;
UPDATE "webhook_endpoints" w SET "made_by_key" = a."key_id" FROM "audit_log" a
WHERE a."action" = 'webhook.create' AND a."team_id" = w."team_id" AND a."target" = w."id" AND a."key_id" IS NOT NULL;

CREATE INDEX "api_keys_made_by_key_idx" ON "api_keys"("made_by_key");
CREATE INDEX "api_keys_replaced_by_idx" ON "api_keys"("replaced_by");
CREATE INDEX "invitations_made_by_key_idx" ON "invitations"("made_by_key");

ALTER TABLE "operator_keys" ADD COLUMN "made_by_key" TEXT;
UPDATE "operator_keys" k SET "made_by_key" = a."key_id" FROM "audit_log" a
WHERE a."action" = 'operator_key.create' AND a."team_id" IS NULL AND a."target" = k."id" AND a."key_id" IS NOT NULL;
CREATE INDEX "operator_keys_made_by_key_idx" ON "operator_keys"("made_by_key");
