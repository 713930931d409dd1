-- Since when nothing of a person but the id is kept, and who disabled somebody: SCIM enables again only whom it has disabled.
ALTER TABLE "people" ADD COLUMN "erased_at" TIMESTAMPTZ(6);
ALTER TABLE "people" ADD COLUMN "disabled_source" TEXT;

-- What a directory (Entra, Okta) sends with its requests.
CREATE TABLE "scim_tokens" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "secret_hmac" BYTEA NOT NULL,
    "pepper_version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_used_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),

    CONSTRAINT "scim_tokens_pkey" PRIMARY KEY ("id")
);

-- What a directory keeps of a person.
CREATE TABLE "scim_users" (
    "person_id" TEXT NOT NULL,
    "user_name" TEXT NOT NULL,
    "user_name_key" TEXT NOT NULL,
    "external_id" TEXT,
    "attributes" JSONB NOT NULL,
    "active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "scim_users_pkey" PRIMARY KEY ("person_id")
);
CREATE UNIQUE INDEX "scim_users_user_name_key_key" ON "scim_users"("user_name_key");
CREATE INDEX "scim_users_external_id_idx" ON "scim_users"("external_id");
CREATE INDEX "scim_users_created_at_person_id_idx" ON "scim_users"("created_at", "person_id");
ALTER TABLE "scim_users" ADD CONSTRAINT "scim_users_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "people"("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT graft_fence('scim_tokens', 'system'), graft_fence('scim_users', 'system');
