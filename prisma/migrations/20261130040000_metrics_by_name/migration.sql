-- The metrics of a step or an evaluation are one object by name, so that another metric needs no column. Loss and tokens stay columns:
-- series are aggregated by them, and the ledger is written from them.
--
-- The table is rewritten once, with the values of every row in its object and without them in their columns. That takes about the time and
-- space of the table, where an UPDATE would leave twice its size; the table is locked meanwhile. Policies of row-level security do not
-- apply to a rewrite: the rows of all teams are kept. All values come from JSON, so none is NaN.
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

-- Processes of the version before still write the columns while the others are replaced. The columns stay for them, always null: a trigger
-- moves their values into the object. Rows of this version do not fire it.
ALTER TABLE "job_metrics" ADD COLUMN "token_accuracy" DOUBLE PRECISION;
CREATE FUNCTION graft_metrics_by_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.metrics := NEW.metrics || jsonb_strip_nulls(jsonb_build_object(
        'token_accuracy', NEW.token_accuracy,
        'learning_rate', NEW.learning_rate,
        'grad_norm', NEW.grad_norm,
        'tokens_per_second', NEW.tokens_per_second,
        'memory_bytes', NEW.memory_bytes));
    NEW.token_accuracy := NULL;
    NEW.learning_rate := NULL;
    NEW.grad_norm := NULL;
    NEW.tokens_per_second := NULL;
    NEW.memory_bytes := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER job_metrics_by_name BEFORE INSERT OR UPDATE ON "job_metrics" FOR EACH ROW
    WHEN (num_nonnulls(NEW.token_accuracy, NEW.learning_rate, NEW.grad_norm, NEW.tokens_per_second, NEW.memory_bytes) > 0)
    EXECUTE FUNCTION graft_metrics_by_name();
