-- How many files, adapter versions and exports a team may have. NULL: no limit, as for every team from before.
ALTER TABLE "team_quotas" ADD COLUMN "files" INTEGER CHECK ("files" >= 0);
ALTER TABLE "team_quotas" ADD COLUMN "adapters" INTEGER CHECK ("adapters" >= 0);
ALTER TABLE "team_quotas" ADD COLUMN "exports" INTEGER CHECK ("exports" >= 0);
