import type { AddedModel, ConfiguredEntry, ModelAccess } from '@graft/service';
import { type Static, Type } from 'typebox';
import { secondsOrNull } from './api-key.ts';
import { limit } from './list.ts';
import { deletedSchema, input, named, namedInput, nullable, Time } from './schema.ts';

const ModelFileSchema = Type.Object({
  path: Type.String(),
  bytes: Type.Integer(),
  sha256: Type.String(),
});

export const BaseModelSchema = named('BaseModel', {
  id: Type.String({ description: 'What requests name as `model`.' }),
  object: Type.Literal('base_model'),
  source: Type.Enum(['bundled', 'operator', 'folder', 'hub', 's3'], {
    type: 'string',
    description: '`operator`: of the file GRAFT_BASE_MODELS.',
  }),
  location: nullable(Type.String(), {
    description: 'Folder, Hub id or `s3://` prefix of one that was added.',
  }),
  revision: nullable(Type.String()),
  commit: nullable(Type.String(), {
    description: 'Of the Hub: what the revision meant when it was fetched.',
  }),
  file: nullable(Type.String()),
  state: Type.Enum(['configured', 'queued', 'fetching', 'ready', 'failed'], {
    type: 'string',
    description:
      '`configured`: not added, but of the configuration. Teams find those and the ones that are `ready`.',
  }),
  model_type: nullable(Type.String()),
  bytes_done: Type.Integer({ description: 'Fetched so far; updated about every second.' }),
  bytes_total: nullable(Type.Integer(), { description: 'Null: not known yet.' }),
  files: nullable(Type.Array(ModelFileSchema), { description: 'What it is read from, once it is ready.' }),
  weights_sha256: nullable(Type.String()),
  error: nullable(Type.Object({ code: Type.String(), message: Type.String() }), {
    description: 'Why it failed; of one that is queued, why the last attempt did.',
  }),
  hidden: Type.Boolean({ description: 'No team sees it; jobs and adapters that use it keep working.' }),
  limited: Type.Boolean({ description: 'Only the teams of `allowed_teams` find it.' }),
  allowed_teams: Type.Array(Type.String()),
  denied_teams: Type.Array(Type.String()),
  added_by: nullable(Type.String(), {
    description: 'Person or key; null: the configuration, or `graft admin base-models add-unlisted`.',
  }),
  created_at: nullable(Time),
  started_at: nullable(Time),
  finished_at: nullable(Time),
});

const TeamIds = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 1000 });

export const AddBaseModelSchema = namedInput('AddBaseModel', {
  id: Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,95}$',
    description: 'What requests will name as `model`.',
  }),
  folder: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1000,
      description: 'Absolute, and the same on every machine. One of folder, hub and s3.',
    }),
  ),
  hub: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: '`organisation/name`' })),
  s3: Type.Optional(Type.String({ minLength: 1, maxLength: 1000, description: '`s3://bucket/prefix`' })),
  revision: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'Of the Hub: branch, tag or commit.' }),
  ),
  file: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'The GGUF file to take, where there are several.',
    }),
  ),
  teams: Type.Optional({ ...TeamIds, description: 'Ids of the only teams that find it. Absent: all do.' }),
});

export const AllowBaseModelSchema = namedInput('AllowBaseModel', {
  teams: nullable(TeamIds, { description: 'Only these and those allowed before; null: every team.' }),
});
export const DenyBaseModelSchema = namedInput('DenyBaseModel', { teams: TeamIds });
export const UpdateBaseModelSchema = namedInput('UpdateBaseModel', { hidden: Type.Boolean() });
export const DeletedBaseModelSchema = deletedSchema('DeletedBaseModel', 'base_model');
export const ForgottenBaseModelSchema = named('ForgottenBaseModel', {
  id: Type.String(),
  object: Type.Literal('base_model'),
  forgotten: Type.Boolean({ description: 'False: it was never used.' }),
});
export const BaseModelParams = Type.Object({
  base_model_id: Type.String({ description: 'Slashes as %2F.' }),
});
export const ListBaseModelsQuery = input({
  after: Type.Optional(
    Type.String({ minLength: 1, maxLength: 256, description: 'Id of the last one of the page before.' }),
  ),
  limit: limit(20, 1000),
});

type WireBaseModel = Static<typeof BaseModelSchema>;

const accessOf = ({ limited, allowed, denied }: ModelAccess) => ({
  limited,
  allowed_teams: allowed,
  denied_teams: denied,
});

export function toWireConfigured(
  model: Pick<ConfiguredEntry, 'id' | 'source'>,
  access: ModelAccess,
): WireBaseModel {
  return {
    id: model.id,
    object: 'base_model',
    source: model.source,
    location: null,
    revision: null,
    commit: null,
    file: null,
    state: 'configured',
    model_type: null,
    bytes_done: 0,
    bytes_total: null,
    files: null,
    weights_sha256: null,
    error: null,
    hidden: false,
    ...accessOf(access),
    added_by: null,
    created_at: null,
    started_at: null,
    finished_at: null,
  };
}

export function toWireAdded(model: AddedModel, access: ModelAccess): WireBaseModel {
  return {
    id: model.modelId,
    object: 'base_model',
    source: model.source,
    location: model.location,
    revision: model.revision,
    commit: model.commit,
    file: model.file,
    state: model.state,
    model_type: model.modelType,
    bytes_done: model.bytesDone,
    bytes_total: model.bytesTotal,
    files: model.files,
    weights_sha256: model.digest,
    error: model.error,
    hidden: model.hiddenAt !== null,
    ...accessOf(access),
    added_by: model.addedBy,
    created_at: secondsOrNull(model.createdAt),
    started_at: secondsOrNull(model.startedAt),
    finished_at: secondsOrNull(model.finishedAt),
  };
}
