-- Since a provider vouched for a person's email: keys of before are revoked then, and no link of an invitation makes one after it.
ALTER TABLE "people" ADD COLUMN "verified_at" TIMESTAMPTZ(6);
UPDATE "people" p SET "verified_at" = i."at"
FROM (SELECT "person_id", min("created_at") AS "at" FROM "person_identities" GROUP BY "person_id") i WHERE i."person_id" = p."id";
