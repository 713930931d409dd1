-- To which repositories of the Hub a team may publish: docs/decisions/0080-exits-have-a-maker.md. No row: to none.
CREATE TABLE "publishing_rules" (
    "team_id" TEXT NOT NULL,
    "repositories" TEXT[] NOT NULL,
    "allow_public" BOOLEAN NOT NULL DEFAULT false,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "publishing_rules_pkey" PRIMARY KEY ("team_id")
);
ALTER TABLE "publishing_rules" ADD CONSTRAINT "publishing_rules_team_id_fkey" FOREIGN KEY ("team_id") REFERENCES "teams"("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT graft_fence('publishing_rules');

-- Repositories that a team has published to, or is about to, stay allowed; public ones if it has published in public.
INSERT INTO "publishing_rules" ("team_id", "repositories", "allow_public")
SELECT "team_id", array_agg(DISTINCT lower("repository")), bool_or("is_public")
FROM "publications" WHERE "status" <> 'failed' GROUP BY "team_id";
