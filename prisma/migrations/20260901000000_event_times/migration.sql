-- An event has its own time, not that of its transaction, which may have waited for a lock or written others before it.
ALTER TABLE "job_events" ALTER COLUMN "created_at" SET DEFAULT clock_timestamp();
