-- What a step or an evaluation measures is one object by name, so that another metric needs no column. Loss and tokens stay columns:
-- series are summed and the ledger is written by them.
--
-- The table is rewritten once, with the values of every row in its object and without them in their columns: about as long and as much
-- space as the table has, where an UPDATE would leave twice as much. It is locked meanwhile, as DROP COLUMN does anyway. Policies of
-- row-level security do not apply to a rewrite: the rows of all teams are kept. JSON has written all values, so that none is NaN.
ALTER TABLE "job_metrics"
    ALTER COLUMN "token_accuracy" TYPE JSONB USING jsonb_strip_nulls(jsonb_build_object(
        'token_accuracy', "token_accuracy",
        'learning_rate', "learning_rate",
        'grad_norm', "grad_norm",
        'tokens_per_second', "tokens_per_second",
        'memory_bytes', "memory_bytes")),
    ALTER COLUMN "token_accuracy" SET DEFAULT '{}',
    ALTER COLUMN "token_accuracy" SET NOT NULL,
    ALTER COLUMN "learning_rate" TYPE DOUBLE PRECISION USING NULL::double precision,
    ALTER COLUMN "grad_norm" TYPE DOUBLE PRECISION USING NULL::double precision,
    ALTER COLUMN "tokens_per_second" TYPE DOUBLE PRECISION USING NULL::double precision,
    ALTER COLUMN "memory_bytes" TYPE BIGINT USING NULL::bigint;
ALTER TABLE "job_metrics" RENAME COLUMN "token_accuracy" TO "metrics";
ALTER TABLE "job_metrics"
    DROP COLUMN "learning_rate", DROP COLUMN "grad_norm", DROP COLUMN "tokens_per_second", DROP COLUMN "memory_bytes";
