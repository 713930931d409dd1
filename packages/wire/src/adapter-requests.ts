import { COMBINED_ADAPTERS, CombinationSchema, MAX_COMBINATION_WEIGHT } from '@graft/peft-core/config';
import { Type } from 'typebox';
import { AdapterParams, AdapterVersionSchema } from './adapter.ts';
import { After, limit } from './list.ts';
import { longestNote } from './lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, ref, Time } from './schema.ts';

/** The parts of an upload, documented only: the body is streamed rather than validated as a whole. */
export const UploadAdapterSchema = input({
  base_model: Type.String({ description: 'Id of the base model that the adapter was trained on.' }),
  name: Type.String({
    description:
      'Name of the adapter. Uploads and jobs with the same name become versions of the same adapter.',
  }),
  parent: Type.Optional(
    Type.String({ description: 'Name of the fine-tuned model that training started from.' }),
  ),
  note: Type.Optional(Type.String({ maxLength: longestNote })),
  file: Type.Array(
    Type.Unsafe<unknown>({
      type: 'string',
      format: 'binary',
      description:
        'adapter_config.json, adapter_model.safetensors or README.md, under exactly this file name.',
    }),
    { minItems: 2, maxItems: 3 },
  ),
});

export const CombineAdaptersSchema = namedInput('CombineAdapters', {
  name: Type.String({
    minLength: 1,
    maxLength: 64,
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
    description: 'Name of the adapter that gets the new version, on the same base model.',
  }),
  sources: Type.Array(
    input({
      model: Type.String({ minLength: 1, maxLength: 512, description: 'Name of a fine-tuned model or tag.' }),
      weight: Type.Optional(
        Type.Number({
          minimum: -MAX_COMBINATION_WEIGHT,
          maximum: MAX_COMBINATION_WEIGHT,
          default: 1,
          description: 'Factor of its update. A negative one subtracts it.',
        }),
      ),
    }),
    {
      minItems: COMBINED_ADAPTERS.least,
      maxItems: COMBINED_ADAPTERS.most,
      description: 'Versions of one base model and method, with the same target_modules.',
    },
  ),
  ...CombinationSchema.properties,
  combination_type: Type.Optional(CombinationSchema.properties.combination_type),
  note: Type.Optional(Type.String({ minLength: 1, maxLength: longestNote })),
});

export const AdapterTagSchema = named('AdapterTag', {
  id: Type.String(),
  object: Type.Literal('adapter.tag'),
  created_at: Time,
  moved_at: Time,
  adapter_id: Type.String(),
  tag: Type.String(),
  model: Type.String({
    description: 'Name to use as `model` in completions: `ft:{base}:{team}:{adapter}:{tag}`.',
  }),
  version: Type.Integer({ description: 'Version that the tag points to.' }),
});

export const MovedAdapterTagSchema = named('MovedAdapterTag', {
  ...AdapterTagSchema.properties,
  previous_version: nullable(Type.Integer(), {
    description: 'Version that the tag pointed to before. Null if the tag is new.',
  }),
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
  description:
    '1 to 32 characters: a-z, 0-9, ".", "_" and "-", starting with a letter. Exactly eight letters and digits are not allowed.',
});
const Version = Type.Integer({ minimum: 1, maximum: 2_147_483_647 });

export const MoveAdapterTagSchema = namedInput('MoveAdapterTag', {
  tag: TagName,
  version: Version,
  expected_version: Type.Optional(
    nullable(Version, {
      description:
        'Move the tag only if it points to this version. Null: only if the tag does not exist yet. If omitted, the tag is moved in any case.',
    }),
  ),
});

export const AdapterTagParams = Type.Object({ ...AdapterParams.properties, tag: TagName });

export const SetNoteSchema = namedInput('SetAdapterNote', {
  note: nullable(Type.String({ minLength: 1, maxLength: longestNote }), {
    description: 'New note. Null removes the note.',
  }),
});

export const DeletedAdapterSchema = deletedSchema('DeletedAdapter', 'adapter', {
  versions: Type.Integer({ description: 'Number of versions that were deleted.' }),
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
  a: { ...ModelName, description: 'Name of a fine-tuned model or tag.' },
  b: { ...ModelName, description: 'Name of the fine-tuned model or tag to compare with.' },
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
  identical: Type.Boolean({ description: 'Whether the files are identical, byte for byte.' }),
  config: {
    ...Differences,
    description: 'Method options that differ. A side that does not have the option has no value.',
  },
  lineage: {
    ...Differences,
    description:
      'Properties of base model, data, training and code that differ. A side that does not have the property has no value.',
  },
  metrics: Type.Array(
    Type.Object({
      name: Type.String(),
      a: nullable(Type.Number()),
      b: nullable(Type.Number()),
      difference: nullable(Type.Number(), { description: 'b − a. Null if either value is missing.' }),
    }),
  ),
  files: Type.Array(
    Type.Object({
      path: Type.String(),
      status: oneOf(['same', 'changed', 'only_a', 'only_b']),
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
      type: oneOf(['base_model', 'adapter_version', 'job', 'file', 'checkpoint']),
      label: nullable(Type.String(), {
        description: 'Display name. Null if the object was deleted; no details are available then.',
      }),
      version: nullable(
        Type.Object({ adapter_id: Type.String(), adapter_name: Type.String(), number: Type.Integer() }),
        {
          description:
            'Adapter and number of an adapter version. Null for other types and for a deleted version.',
        },
      ),
      created_at: nullable(Time),
    }),
  ),
  edges: Type.Array(
    Type.Object({ from: Type.String(), to: Type.String(), kind: oneOf(['starts', 'feeds', 'makes']) }),
  ),
  truncated: Type.Boolean({
    description: 'Whether nodes were left out: at most 200 versions and 500 checkpoints are listed.',
  }),
});
