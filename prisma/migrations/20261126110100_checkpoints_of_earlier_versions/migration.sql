-- Earlier versions kept two folders of a job, and none after them goes on from those. The newest stays, to be told.
UPDATE "checkpoints" SET "removed_at" = now()
WHERE "digest" IS NULL
  AND "step" < (SELECT max(other."step") FROM "checkpoints" other
                WHERE other."team_id" = "checkpoints"."team_id" AND other."job_id" = "checkpoints"."job_id");
