-- A job goes on with the kernels that it was begun with: others agree with them to rounding, not bit for bit. Versions before
-- had none, neither jobs nor workers.
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
    END
$$;
