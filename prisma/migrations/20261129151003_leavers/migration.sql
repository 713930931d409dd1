-- When somebody last signed in at a provider, from which their keys lapse. For people who have an identity it begins with this upgrade.
ALTER TABLE "people" ADD COLUMN "signed_in_at" TIMESTAMPTZ(6);
UPDATE "people" p SET "signed_in_at" = now() WHERE EXISTS (SELECT 1 FROM "person_identities" i WHERE i."person_id" = p."id");

-- By what the provider knows a session of its own, of which its logout tokens speak.
ALTER TABLE "sessions" ADD COLUMN "provider_session_id" TEXT;
CREATE INDEX "sessions_provider_session_id_idx" ON "sessions"("provider_session_id");

-- Logout tokens that were used: each counts once.
CREATE TABLE "logout_tokens" (
    "issuer" TEXT NOT NULL,
    "token_id" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "logout_tokens_pkey" PRIMARY KEY ("issuer","token_id")
);
CREATE INDEX "logout_tokens_expires_at_idx" ON "logout_tokens"("expires_at");
SELECT graft_fence('logout_tokens', 'system');
