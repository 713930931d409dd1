-- An artifact has a name of its own, so that publishing the same content again never meets its removal.
ALTER TABLE "adapter_versions" ADD COLUMN "artifact" TEXT;
UPDATE "adapter_versions" SET "artifact" = "digest";
ALTER TABLE "adapter_versions" ALTER COLUMN "artifact" SET NOT NULL;
DROP INDEX "adapter_versions_digest_idx";
CREATE INDEX "adapter_versions_artifact_idx" ON "adapter_versions"("artifact");

-- When the stored bytes were last read through and had the row's digest; when they were first found not to.
ALTER TABLE "adapter_versions" ADD COLUMN "verified_at" TIMESTAMPTZ(6), ADD COLUMN "corrupt_at" TIMESTAMPTZ(6);
ALTER TABLE "files" ADD COLUMN "verified_at" TIMESTAMPTZ(6), ADD COLUMN "corrupt_at" TIMESTAMPTZ(6);
CREATE INDEX "adapter_versions_verified_at_idx" ON "adapter_versions"("verified_at");
CREATE INDEX "files_verified_at_idx" ON "files"("verified_at");

-- The name of a stored object ends with the second in which it was made, in hexadecimal. Nothing may refer to one that is older than half
-- a day; the collector removes what is older than a day and has no row. So what it finds without a row stays without.
CREATE FUNCTION "refuse_old_object"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name TEXT := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF name ~ '-[0-9a-f]{8}$'
        AND ('x' || right(name, 8))::bit(32)::bigint < extract(epoch FROM clock_timestamp()) - 12 * 3600 THEN
        RAISE EXCEPTION 'the object % was stored too long ago to be given a row', name USING ERRCODE = 'GO001';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER "files_refuse_old_object" BEFORE INSERT OR UPDATE OF "path" ON "files"
    FOR EACH ROW EXECUTE FUNCTION "refuse_old_object"('path');
CREATE TRIGGER "adapter_versions_refuse_old_object" BEFORE INSERT OR UPDATE OF "artifact" ON "adapter_versions"
    FOR EACH ROW EXECUTE FUNCTION "refuse_old_object"('artifact');

-- The weights that each base model had when it was first used: every machine must have the same.
CREATE TABLE "base_models" (
    "id" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "base_models_pkey" PRIMARY KEY ("id")
);
