import { Type } from 'typebox';
import { After, limit } from '../list.ts';
import { deployStates, maxDeployTargets, runtimeNames, usualKeepSeconds } from '../lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, Time } from '../schema.ts';
import { makerFields } from './exit.ts';

const day = 24 * 3600;

const fields = {
  name: Type.String({
    minLength: 1,
    maxLength: 64,
    pattern: '^[A-Za-z0-9][A-Za-z0-9 ._-]*$',
    description: 'Name of the target, unique in the team.',
  }),
  api_key: nullable(Type.String({ minLength: 1, maxLength: 4096, pattern: '^[\\x21-\\x7e]+$' }), {
    description:
      'API key that the runtime was started with. Required if its address is not on the internet. It is stored encrypted and never returned.',
  }),
  tag: Type.String({
    pattern: '^[a-z][a-z0-9._-]{0,31}$',
    description: 'Tag of the adapter that the target follows. It may be created later.',
  }),
  folder: Type.String({
    minLength: 1,
    maxLength: 1024,
    pattern: '^/[^\\p{C}]*$',
    description:
      "Absolute path at which the runtime sees the team's part of the shared folder. Default: its path on Graft's machine.",
  }),
  model_name: Type.String({
    minLength: 1,
    maxLength: 128,
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
    description: 'Name of the adapter in the runtime.',
  }),
  versioned_names: Type.Boolean({
    description:
      'Whether each version has its own name, `model_name-v3`. If false, the name stays the same, and for a moment the runtime has no version; in vLLM that requires a server without a cache of prefixes.',
  }),
  keep_seconds: Type.Integer({
    minimum: 0,
    maximum: 7 * day,
    description: 'Number of seconds for which the previous version stays loaded under its own name.',
  }),
};

export const DeployTargetSchema = named('DeployTarget', {
  id: Type.String(),
  object: Type.Literal('deploy_target'),
  created_at: Time,
  updated_at: Time,
  name: Type.String(),
  runtime: oneOf(runtimeNames),
  url: Type.String(),
  adapter_id: Type.String(),
  tag: Type.String(),
  folder: nullable(Type.String(), {
    description:
      'Where the runtime sees the shared folder; null: its path on this server, while the operator has set none.',
  }),
  model_name: Type.String(),
  versioned_names: Type.Boolean(),
  keep_seconds: Type.Integer(),
  has_api_key: Type.Boolean({
    description: 'Whether an API key is stored. The key itself is never returned.',
  }),
  ...makerFields('created the target, gave its API key or enabled it', 'disables the target'),
  state: oneOf(deployStates, {
    description:
      '`waiting`: nothing is to be loaded, as `reason` says. `loading`: a version is being loaded. `deployed`: the runtime listed the version of the tag at the last check. `failing`: the last attempt failed and is repeated. `disabled`: nothing is sent to the runtime, which keeps what it has loaded.',
  }),
  reason: nullable(Type.String(), {
    description: 'Why the target waits, fails or is disabled, and what to do.',
  }),
  deployed_version: nullable(Type.Integer(), {
    description: 'Number of the version that the runtime had at the last check.',
  }),
  served_model: nullable(Type.String(), {
    description: 'What requests to the runtime use as `model` for this version.',
  }),
  deployed_at: nullable(Time),
  checked_at: nullable(Time, {
    description: 'Unix timestamp (in seconds) of the last time that the runtime was compared with the tag.',
  }),
  failing_since: nullable(Time),
  next_attempt_at: Time,
});

export const NewDeployTargetSchema = namedInput('CreateDeployTarget', {
  name: fields.name,
  runtime: oneOf(runtimeNames, { description: 'Kind of the server.' }),
  url: Type.String({
    minLength: 1,
    maxLength: 2048,
    description:
      'Address of one server, without `/v1`: https, port 443 or 8443, on a public host. The operator can open other addresses and ports for your team (GRAFT_DEPLOY_ALLOW).',
  }),
  adapter_id: Type.String({ minLength: 1, maxLength: 64 }),
  tag: fields.tag,
  model_name: fields.model_name,
  api_key: Type.Optional(fields.api_key),
  folder: Type.Optional(fields.folder),
  versioned_names: Type.Optional({ ...fields.versioned_names, default: true }),
  keep_seconds: Type.Optional({ ...fields.keep_seconds, default: usualKeepSeconds }),
});

export const DeployTargetChangesSchema = namedInput('UpdateDeployTarget', {
  name: Type.Optional(fields.name),
  tag: Type.Optional(fields.tag),
  model_name: Type.Optional(fields.model_name),
  api_key: Type.Optional(fields.api_key),
  folder: Type.Optional(fields.folder),
  versioned_names: Type.Optional(fields.versioned_names),
  keep_seconds: Type.Optional(fields.keep_seconds),
  enabled: Type.Optional(
    Type.Boolean({
      description:
        'False: nothing is sent to the runtime, which keeps what it has loaded, until the target is enabled again.',
    }),
  ),
});

export const DeletedDeployTargetSchema = deletedSchema('DeletedDeployTarget', 'deploy_target');

export const DeployTargetParams = Type.Object({ target_id: Type.String() });

export const ListDeployTargetsQuery = input({
  limit: limit(maxDeployTargets, maxDeployTargets),
  after: After,
  adapter_id: Type.Optional(Type.String({ maxLength: 64, description: 'Only targets of this adapter.' })),
});
