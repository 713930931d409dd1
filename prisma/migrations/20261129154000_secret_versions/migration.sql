-- Which version of the pepper made an HMAC, and which secret sealed what is encrypted. The defaults are for the rows that there are, and
-- for those of processes of an earlier version, which know one pepper: version 1.
ALTER TABLE "api_keys" ADD COLUMN "pepper_version" INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "operator_keys" ADD COLUMN "pepper_version" INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "invitations" ADD COLUMN "pepper_version" INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "sessions" ADD COLUMN "pepper_version" INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "webhook_secrets" ADD COLUMN "sealed_by" TEXT NOT NULL DEFAULT 'pepper:1';
ALTER TABLE "integrations" ADD COLUMN "sealed_by" TEXT NOT NULL DEFAULT 'pepper:1';
