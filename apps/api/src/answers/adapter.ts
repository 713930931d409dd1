import { runtimesFor } from '@graft/peft-core/config';
import type { Adapter, AdapterTag, AdapterVersion, Comparison, Lineage } from '@graft/service/adapters';
import type { AdapterSchema, AdapterVersionSchema } from '@graft/wire/adapter';
import type { AdapterTagSchema, ComparisonSchema, LineageSchema } from '@graft/wire/adapter-requests';
import type { Static } from 'typebox';
import { unixSeconds } from './list.ts';

export function toWireTag(tag: AdapterTag): Static<typeof AdapterTagSchema> {
  return {
    id: tag.id,
    object: 'adapter.tag',
    created_at: unixSeconds(tag.createdAt),
    moved_at: unixSeconds(tag.movedAt),
    adapter_id: tag.adapterId,
    tag: tag.name,
    model: tag.modelName,
    version: tag.version,
  };
}

export function toWireLineage({ nodes, edges, truncated }: Lineage): Static<typeof LineageSchema> {
  const wired = nodes.map(({ createdAt, version, ...node }) => ({
    ...node,
    version: version && {
      adapter_id: version.adapterId,
      adapter_name: version.adapterName,
      number: version.number,
    },
    created_at: createdAt && unixSeconds(createdAt),
  }));
  return { object: 'adapter.lineage', nodes: wired, edges, truncated };
}

export function toWireComparison(
  comparison: Comparison,
  a: Static<typeof AdapterVersionSchema>,
  b: Static<typeof AdapterVersionSchema>,
): Static<typeof ComparisonSchema> {
  return { object: 'adapter.comparison', a, b, ...comparison };
}

export function toWireAdapter(adapter: Adapter): Static<typeof AdapterSchema> {
  return {
    id: adapter.id,
    object: 'adapter',
    created_at: unixSeconds(adapter.createdAt),
    name: adapter.name,
    base_model: adapter.baseModel,
    latest_version: adapter.latestVersion,
    note: adapter.note,
    tags: adapter.tags.map(({ name, modelName, version }) => ({ tag: name, model: modelName, version })),
  };
}

export function toWireAdapterVersion(version: AdapterVersion): Static<typeof AdapterVersionSchema> {
  return {
    id: version.id,
    object: 'adapter.version',
    created_at: unixSeconds(version.createdAt),
    adapter_id: version.adapterId,
    adapter_name: version.adapterName,
    version: version.number,
    model: version.modelName,
    base_model: version.baseModel,
    fine_tuning_job_id: version.jobId,
    parent_id: version.parentId,
    source_ids: version.sourceIds,
    tags: version.tags,
    note: version.note,
    digest: version.digest,
    bytes: version.bytes,
    files: version.files,
    peft: version.peft,
    runtimes: runtimesFor(version.peft),
    system_prompt: version.systemPrompt,
    lineage: version.lineage,
    metrics: version.metrics,
    download_path: `/v1/adapters/${version.adapterId}/versions/${version.number}/download`,
  };
}
