import { Type } from 'typebox';
import { limit } from './list.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, optional, Time } from './schema.ts';

const ModelFileSchema = Type.Object({ path: Type.String(), bytes: Type.Integer(), sha256: Type.String() });

export const BaseModelSchema = named('BaseModel', {
  id: Type.String({ description: 'Id to use as `model` in requests.' }),
  object: Type.Literal('base_model'),
  source: oneOf(['bundled', 'operator', 'folder', 'hub', 's3'], {
    description: 'Where the model is from. `operator`: the file GRAFT_BASE_MODELS.',
  }),
  location: nullable(Type.String(), {
    description: 'Folder, Hub id or `s3://` prefix of an added model. Null for a configured model.',
  }),
  revision: nullable(Type.String()),
  commit: nullable(Type.String(), {
    description:
      'For a Hub model, the commit that `revision` referred to when the model was fetched. Null for other sources.',
  }),
  file: nullable(Type.String()),
  state: oneOf(['configured', 'queued', 'fetching', 'ready', 'failed'], {
    description:
      'State of the model. `configured`: from the configuration rather than added. Teams can use models that are `configured` or `ready`.',
  }),
  model_type: nullable(Type.String()),
  bytes_done: Type.Integer({ description: 'Number of bytes fetched so far, updated about every second.' }),
  bytes_total: nullable(Type.Integer(), {
    description: 'Total number of bytes to fetch. Null while it is not known.',
  }),
  files: nullable(Type.Array(ModelFileSchema), {
    description: 'Files that the model is read from. Null until it is ready.',
  }),
  weights_sha256: nullable(Type.String()),
  error: nullable(Type.Object({ code: Type.String(), message: Type.String() }), {
    description:
      'Why fetching the model failed, or for a queued model, why the last attempt failed. Null if there was no failure.',
  }),
  hidden: Type.Boolean({
    description: 'Whether the model is hidden from all teams. Jobs and adapters that use it keep working.',
  }),
  limited: Type.Boolean({ description: 'Whether only the teams in `allowed_teams` can use the model.' }),
  allowed_teams: Type.Array(Type.String()),
  denied_teams: Type.Array(Type.String()),
  added_by: nullable(Type.String(), {
    description:
      'Id of the person or key that added the model. Null for the configuration or `graft admin base-models add-unlisted`.',
  }),
  created_at: nullable(Time),
  started_at: nullable(Time),
  finished_at: nullable(Time),
});

const TeamIds = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 1000 });

export const AddBaseModelSchema = namedInput('AddBaseModel', {
  id: Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,95}$',
    description: 'Id to use as `model` in requests.',
  }),
  ...optional({
    folder: Type.String({
      minLength: 1,
      maxLength: 1000,
      description: 'Absolute path, the same on every machine. Give exactly one of `folder`, `hub` and `s3`.',
    }),
    hub: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'Id on the Hugging Face Hub: `organisation/name`.',
    }),
    s3: Type.String({ minLength: 1, maxLength: 1000, description: 'Prefix in S3: `s3://bucket/prefix`.' }),
    revision: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'For a Hub model, a branch, tag or commit.',
    }),
    file: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'Name of the GGUF file to use if there are several.',
    }),
    teams: {
      ...TeamIds,
      description: 'Ids of the only teams that can use the model. If omitted, all teams can.',
    },
  }),
});

export const AllowBaseModelSchema = namedInput('AllowBaseModel', {
  teams: nullable(TeamIds, {
    description:
      'Ids of teams to allow in addition to those allowed before; no other team can use the model. Null: all teams can.',
  }),
});
export const DenyBaseModelSchema = namedInput('DenyBaseModel', { teams: TeamIds });
export const UpdateBaseModelSchema = namedInput('UpdateBaseModel', { hidden: Type.Boolean() });
export const DeletedBaseModelSchema = deletedSchema('DeletedBaseModel', 'base_model');
export const ForgottenBaseModelSchema = named('ForgottenBaseModel', {
  id: Type.String(),
  object: Type.Literal('base_model'),
  forgotten: Type.Boolean({
    description: 'Whether the recorded file digests were deleted. False if the model was never used.',
  }),
});
export const BaseModelParams = Type.Object({
  base_model_id: Type.String({ description: 'Id of the base model, with slashes encoded as %2F.' }),
});
export const ListBaseModelsQuery = input({
  after: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Id of the last base model of the previous page.',
    }),
  ),
  limit: limit(20, 1000),
});
