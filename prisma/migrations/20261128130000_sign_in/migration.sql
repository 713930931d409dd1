-- People who sign in: docs/decisions/0014-sign-in.md.

-- AlterTable
ALTER TABLE "people" ADD COLUMN     "operator_source" TEXT NOT NULL DEFAULT 'manual';

-- CreateTable
CREATE TABLE "person_identities" (
    "issuer" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "person_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_seen_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "person_identities_pkey" PRIMARY KEY ("issuer","subject")
);

-- CreateTable
CREATE TABLE "sessions" (
    "id" TEXT NOT NULL,
    "secret_hmac" BYTEA NOT NULL,
    "person_id" TEXT,
    "api_key_id" TEXT,
    "operator_key_id" TEXT,
    "chosen_team_id" TEXT,
    "flow_id" TEXT,
    "user_agent" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_used_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "person_identities_person_id_issuer_key" ON "person_identities"("person_id", "issuer");

-- CreateIndex
CREATE UNIQUE INDEX "sessions_flow_id_key" ON "sessions"("flow_id");

-- CreateIndex
CREATE INDEX "sessions_person_id_created_at_idx" ON "sessions"("person_id", "created_at");

-- CreateIndex
CREATE INDEX "sessions_api_key_id_created_at_idx" ON "sessions"("api_key_id", "created_at");

-- CreateIndex
CREATE INDEX "sessions_operator_key_id_created_at_idx" ON "sessions"("operator_key_id", "created_at");

-- CreateIndex
CREATE INDEX "sessions_expires_at_idx" ON "sessions"("expires_at");

-- AddForeignKey
ALTER TABLE "person_identities" ADD CONSTRAINT "person_identities_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "people"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "people"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_api_key_id_fkey" FOREIGN KEY ("api_key_id") REFERENCES "api_keys"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_operator_key_id_fkey" FOREIGN KEY ("operator_key_id") REFERENCES "operator_keys"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_chosen_team_id_fkey" FOREIGN KEY ("chosen_team_id") REFERENCES "teams"("id") ON DELETE SET NULL ON UPDATE CASCADE;


-- Whose it is, is one of the three.
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_of_one" CHECK (num_nonnulls("person_id", "api_key_id", "operator_key_id") = 1);
ALTER TABLE "people" ADD CONSTRAINT "people_operator_source_known" CHECK ("operator_source" IN ('manual', 'oidc'));

-- A person's, not a team's: no team sees any.
SELECT graft_fence('person_identities', 'system'), graft_fence('sessions', 'system');
