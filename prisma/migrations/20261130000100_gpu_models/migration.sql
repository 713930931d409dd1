-- A job goes on with the model of GPU that it was begun on: libraries choose other kernels on another, which agree to rounding.
-- What versions before began on a GPU names no model, and goes on with any; a worker of such a version takes only those.
CREATE OR REPLACE FUNCTION "graft_can_run"("capabilities" jsonb, "requirements" jsonb, "training" jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN capabilities IS NULL THEN true
        WHEN requirements IS NULL THEN
            coalesce(training->>'precision', 'auto') = 'auto' OR capabilities->'precisions' ? (training->>'precision')
        ELSE capabilities->>'device' = requirements->>'device'
            AND (capabilities->>'threads')::int >= (requirements->>'threads')::int
            AND capabilities->'precisions' ? (requirements->>'precision')
            AND coalesce(capabilities->'kernels', '["stock"]') ? coalesce(requirements->>'kernels', 'stock')
            AND (requirements->>'gpu' IS NULL OR coalesce(capabilities->'gpus', '[]') ? (requirements->>'gpu'))
    END
$$;
