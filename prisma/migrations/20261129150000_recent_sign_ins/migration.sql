-- When a person last proved to the provider who they are. Null: it did not say, or the session is of a version before.
ALTER TABLE "sessions" ADD COLUMN "authenticated_at" TIMESTAMPTZ(6);
-- The last request by which the session operated the service. Null: none yet.
ALTER TABLE "sessions" ADD COLUMN "operator_used_at" TIMESTAMPTZ(6);
