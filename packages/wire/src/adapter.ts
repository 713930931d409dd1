import { PeftConfigSchema } from '@graft/peft-core/config';
import { Type } from 'typebox';
import { After, createdBetween, limit } from './list.ts';
import { input, named, nullable, ref, Time } from './schema.ts';

export const AdapterSchema = named('Adapter', {
  id: Type.String(),
  object: Type.Literal('adapter'),
  created_at: Time,
  name: Type.String({
    description:
      'Name of the adapter: the `suffix` of its jobs, the name given when it was uploaded, or a short random name.',
  }),
  base_model: Type.String(),
  latest_version: nullable(Type.Integer()),
  note: nullable(Type.String()),
  tags: Type.Array(
    Type.Object({
      tag: Type.String(),
      model: Type.String({
        description: 'Name to use as `model` in completions: `ft:{base}:{team}:{adapter}:{tag}`.',
      }),
      version: Type.Integer({ description: 'Version that the tag points to.' }),
    }),
    { description: 'Tags, sorted by name.' },
  ),
});

export const AdapterVersionSchema = named('AdapterVersion', {
  id: Type.String(),
  object: Type.Literal('adapter.version'),
  created_at: Time,
  adapter_id: Type.String(),
  adapter_name: Type.String(),
  version: Type.Integer({ minimum: 1 }),
  model: Type.String({ description: 'Name to use as `model` in completions.' }),
  base_model: Type.String(),
  fine_tuning_job_id: nullable(Type.String(), {
    description: 'Id of the job that trained this version. Null if it was uploaded or combined.',
  }),
  parent_id: nullable(Type.String(), {
    description: 'Id of the version that training started from. Null if it started from the base model.',
  }),
  source_ids: Type.Array(Type.String(), {
    description:
      'Ids of the versions that this one was combined from, in this order. Empty if it was trained.',
  }),
  tags: Type.Array(Type.String(), { description: 'Names of the tags that point to this version.' }),
  note: nullable(Type.String()),
  digest: Type.String({
    description: 'SHA-256 over the sorted lines `<sha256> <bytes> <path>` of the files.',
  }),
  bytes: Type.Integer(),
  files: Type.Array(Type.Object({ path: Type.String(), bytes: Type.Integer(), sha256: Type.String() })),
  peft: ref(PeftConfigSchema),
  runtimes: Type.Array(Type.String(), {
    description:
      'Runtimes that load the files unchanged, Graft first. `llama.cpp (converted)` needs its own conversion script.',
  }),
  system_prompt: nullable(Type.String(), {
    description:
      'System message that every training example began with; send it with each chat. Null if the examples began differently or without one, or if the version was uploaded.',
  }),
  lineage: Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    description: 'Digests of base model, data and code, the seed, and the configuration used.',
  }),
  metrics: nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object' })),
  download_path: Type.String({ description: 'Path on this server that returns the files as a tar archive.' }),
});

export const ListAdaptersQuery = input({
  after: After,
  limit: limit(20, 1000),
  base_model: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  search: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: 'Part of the name, case-insensitive.' }),
  ),
  ...createdBetween,
});
export const ListAdapterVersionsQuery = input({ after: After, limit: limit(20, 1000) });
export const AdapterParams = Type.Object({ adapter_id: Type.String() });
export const AdapterVersionParams = Type.Object({
  adapter_id: Type.String(),
  version: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
});
