-- AlterTable
ALTER TABLE "teams" ADD COLUMN     "deleted_at" TIMESTAMPTZ(6);

-- AlterTable
ALTER TABLE "api_keys" ADD COLUMN     "created_by" TEXT,
ADD COLUMN     "expires_at" TIMESTAMPTZ(6),
ADD COLUMN     "models" TEXT[] NOT NULL DEFAULT ARRAY['*']::TEXT[],
ADD COLUMN     "person_id" TEXT,
ADD COLUMN     "replaced_by" TEXT,
ADD COLUMN     "rotated_at" TIMESTAMPTZ(6),
ADD COLUMN     "scopes" TEXT[] NOT NULL DEFAULT ARRAY['*']::TEXT[];

-- AlterTable
ALTER TABLE "audit_log" ADD COLUMN     "person_id" TEXT,
ALTER COLUMN "team_id" DROP NOT NULL;

-- CreateTable
CREATE TABLE "people" (
    "id" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "is_operator" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "disabled_at" TIMESTAMPTZ(6),

    CONSTRAINT "people_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "memberships" (
    "team_id" TEXT NOT NULL,
    "person_id" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "source" TEXT NOT NULL DEFAULT 'manual',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "memberships_pkey" PRIMARY KEY ("team_id","person_id")
);

-- CreateTable
CREATE TABLE "invitations" (
    "id" TEXT NOT NULL,
    "team_id" TEXT NOT NULL,
    "email" TEXT,
    "role" TEXT NOT NULL,
    "token_hmac" BYTEA NOT NULL,
    "created_by" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "accepted_at" TIMESTAMPTZ(6),
    "accepted_by" TEXT,
    "revoked_at" TIMESTAMPTZ(6),

    CONSTRAINT "invitations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "operator_keys" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "person_id" TEXT,
    "secret_hmac" BYTEA NOT NULL,
    "created_by" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_used_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),

    CONSTRAINT "operator_keys_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "people_email_key" ON "people"("email");

-- CreateIndex
CREATE INDEX "people_created_at_id_idx" ON "people"("created_at", "id");

-- CreateIndex
CREATE INDEX "memberships_team_id_created_at_person_id_idx" ON "memberships"("team_id", "created_at", "person_id");

-- CreateIndex
CREATE INDEX "memberships_person_id_idx" ON "memberships"("person_id");

-- CreateIndex
CREATE INDEX "invitations_team_id_created_at_id_idx" ON "invitations"("team_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "operator_keys_created_at_id_idx" ON "operator_keys"("created_at", "id");

-- CreateIndex
CREATE INDEX "operator_keys_person_id_idx" ON "operator_keys"("person_id");

-- CreateIndex
CREATE INDEX "api_keys_team_id_person_id_idx" ON "api_keys"("team_id", "person_id");

-- CreateIndex
CREATE INDEX "api_keys_person_id_idx" ON "api_keys"("person_id");

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "people"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "memberships" ADD CONSTRAINT "memberships_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "memberships" ADD CONSTRAINT "memberships_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "people"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "invitations" ADD CONSTRAINT "invitations_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "operator_keys" ADD CONSTRAINT "operator_keys_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "people"("id") ON DELETE RESTRICT ON UPDATE CASCADE;


-- Words that are compared as they stand: nothing else may get in.
ALTER TABLE "people" ADD CONSTRAINT "people_email_small" CHECK ("email" = lower("email"));
ALTER TABLE "memberships" ADD CONSTRAINT "memberships_role_known" CHECK ("role" IN ('viewer', 'member', 'admin'));
ALTER TABLE "memberships" ADD CONSTRAINT "memberships_source_known" CHECK ("source" IN ('manual', 'oidc'));
ALTER TABLE "invitations" ADD CONSTRAINT "invitations_role_known" CHECK ("role" IN ('viewer', 'member', 'admin'));

-- A team sees the people who are its members, and no others.
SELECT graft_fence('memberships'), graft_fence('invitations'), graft_fence('operator_keys', 'system'), graft_fence('people', 'system');
CREATE POLICY team_reads ON "people" FOR SELECT TO graft_team
    USING (EXISTS (SELECT 1 FROM "memberships" WHERE "memberships"."person_id" = "people"."id"));
SELECT graft_grant('people');
