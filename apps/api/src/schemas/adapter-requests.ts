import { type AdapterTag, type Comparison, type Lineage, longestNote } from '@graft/service';
import { type Static, Type } from 'typebox';
import { AdapterParams, AdapterVersionSchema } from './adapter.ts';
import { After, limit } from './list.ts';
import { deletedSchema, input, named, namedInput, nullable, ref, Time, unixSeconds } from './schema.ts';

/** The parts of an upload, documented only: the body is streamed rather than validated as a whole. */
export const UploadAdapterSchema = input({
  base_model: Type.String({ description: 'Id of the base model that it was trained on.' }),
  name: Type.String({
    description: 'Name of the adapter: uploads and jobs of one name make versions of one.',
  }),
  parent: Type.Optional(Type.String({ description: 'Name of the model that its training started from.' })),
  note: Type.Optional(Type.String({ maxLength: longestNote })),
  file: Type.Array(
    Type.Unsafe<unknown>({
      type: 'string',
      format: 'binary',
      description: 'adapter_config.json, adapter_model.safetensors, README.md, under these file names.',
    }),
    { minItems: 2, maxItems: 3 },
  ),
});

export const AdapterTagSchema = named('AdapterTag', {
  id: Type.String(),
  object: Type.Literal('adapter.tag'),
  created_at: Time,
  moved_at: Time,
  adapter_id: Type.String(),
  tag: Type.String(),
  model: Type.String({ description: '`ft:{base}:{team}:{adapter}:{tag}`: completions take it as `model`.' }),
  version: Type.Integer({ description: 'The version that it points at.' }),
});

export const MovedAdapterTagSchema = named('MovedAdapterTag', {
  ...AdapterTagSchema.properties,
  previous_version: nullable(Type.Integer(), { description: 'Null: the tag is new.' }),
});

export const DeletedAdapterTagSchema = named('DeletedAdapterTag', {
  adapter_id: Type.String(),
  object: Type.Literal('adapter.tag'),
  tag: Type.String(),
  deleted: Type.Literal(true),
});

const TagName = Type.String({
  minLength: 1,
  maxLength: 64,
  description: '1 to 32 of a-z, 0-9, ".", "_", "-", beginning with a letter; not eight letters and digits.',
});
const Version = Type.Integer({ minimum: 1, maximum: 2_147_483_647 });

export const MoveAdapterTagSchema = namedInput('MoveAdapterTag', {
  tag: TagName,
  version: Version,
  expected_version: Type.Optional(
    nullable(Version, {
      description: 'Only when the tag points at this version; null: only when there is no such tag yet.',
    }),
  ),
});

export const AdapterTagParams = Type.Object({ ...AdapterParams.properties, tag: TagName });

export const SetNoteSchema = namedInput('SetAdapterNote', {
  note: nullable(Type.String({ minLength: 1, maxLength: longestNote }), {
    description: 'Null removes it.',
  }),
});

export const DeletedAdapterSchema = deletedSchema('DeletedAdapter', 'adapter', {
  versions: Type.Integer({ description: 'How many versions were deleted.' }),
});

/** A deleted version, visible only to those who may restore it. */
export const DeletedVersionSchema = named('DeletedAdapterVersion', {
  ...AdapterVersionSchema.properties,
  deleted_at: Time,
  restorable_until: Time,
});
export const ListDeletedQuery = input({ after: After, limit: limit(20, 1000) });

const ModelName = Type.String({ minLength: 1, maxLength: 512 });
export const CompareQuery = input({
  a: { ...ModelName, description: 'Name of a fine-tuned model, or of a tag.' },
  b: { ...ModelName, description: 'The one that it is compared with.' },
});

const anyValue = Type.Unsafe<unknown>({});
const Differences = Type.Array(
  Type.Object({ field: Type.String(), a: Type.Optional(anyValue), b: Type.Optional(anyValue) }),
);
const FileDigest = nullable(Type.Object({ bytes: Type.Integer(), sha256: Type.String() }));

export const ComparisonSchema = named('AdapterComparison', {
  object: Type.Literal('adapter.comparison'),
  a: ref(AdapterVersionSchema),
  b: ref(AdapterVersionSchema),
  identical: Type.Boolean({ description: 'The files are the same, byte for byte.' }),
  config: {
    ...Differences,
    description: 'Options of the method that differ; a side without one has no value.',
  },
  lineage: { ...Differences, description: 'The same of base model, data, training and code.' },
  metrics: Type.Array(
    Type.Object({
      name: Type.String(),
      a: nullable(Type.Number()),
      b: nullable(Type.Number()),
      difference: nullable(Type.Number(), { description: 'b − a' }),
    }),
  ),
  files: Type.Array(
    Type.Object({
      path: Type.String(),
      status: Type.Enum(['same', 'changed', 'only_a', 'only_b'], { type: 'string' }),
      a: FileDigest,
      b: FileDigest,
    }),
  ),
});

export const LineageSchema = named('AdapterLineage', {
  object: Type.Literal('adapter.lineage'),
  nodes: Type.Array(
    Type.Object({
      id: Type.String(),
      type: Type.Enum(['base_model', 'adapter_version', 'job', 'file', 'checkpoint'], { type: 'string' }),
      label: nullable(Type.String(), { description: 'Null: deleted; no details are available.' }),
      version: nullable(
        Type.Object({ adapter_id: Type.String(), adapter_name: Type.String(), number: Type.Integer() }),
        { description: 'Of a version that is there.' },
      ),
      created_at: nullable(Time),
    }),
  ),
  edges: Type.Array(
    Type.Object({
      from: Type.String(),
      to: Type.String(),
      kind: Type.Enum(['starts', 'feeds', 'makes'], { type: 'string' }),
    }),
  ),
  truncated: Type.Boolean({
    description: 'There are more: at most 200 versions and 500 checkpoints are listed.',
  }),
});

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
