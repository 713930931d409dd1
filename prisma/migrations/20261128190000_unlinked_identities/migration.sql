-- What requests name an identity by. The default is for the rows that there are, and for those of processes of an earlier version.
ALTER TABLE "person_identities" ADD COLUMN "id" TEXT NOT NULL DEFAULT 'ident-' || replace(gen_random_uuid()::text, '-', '');
CREATE UNIQUE INDEX "person_identities_id_key" ON "person_identities"("id");

-- Which identity a session came of: unlinking it ends those. No reference, since sessions stay on record when it is gone.
ALTER TABLE "sessions" ADD COLUMN "identity_id" TEXT;
