-- The versions that an adapter version was combined from. Empty for all versions until now.
ALTER TABLE "adapter_versions" ADD COLUMN "source_ids" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[];

-- The versions that were combined from given ones, for the lineage.
CREATE INDEX "adapter_versions_source_ids_idx" ON "adapter_versions" USING GIN ("source_ids");
