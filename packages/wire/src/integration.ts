import { Type } from 'typebox';
import { makerFields } from './adapters/exit.ts';
import { defaultUrls, integrationTypes, trackerTypes } from './lists.ts';
import {
  deletedSchema,
  input,
  named,
  namedInput,
  namedSchemas,
  nullable,
  oneOf,
  optional,
  Time,
} from './schema.ts';

const Name = (description: string) => Type.String({ minLength: 1, maxLength: 128, description });
const runName = Type.Optional(nullable(Name('Name of the run. Default: the id of the job.')));

/** OpenAI's format for `wandb`, and the same for other types. Other code checks that `type` and settings match. */
export const JobIntegrationSchema = Type.Unsafe<JobIntegrationRequest>(
  input(
    {
      type: oneOf(trackerTypes),
      ...optional({
        wandb: input({
          project: Type.String({ minLength: 1, maxLength: 128, pattern: '^[^/\\\\#?%:\\p{C}]+$' }),
          name: runName,
          entity: Type.Optional(
            nullable(
              Type.String({
                minLength: 1,
                maxLength: 128,
                pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
                description: 'User or team that owns the project. Default: the owner of the API key.',
              }),
            ),
          ),
          tags: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 50 })),
        }),
        mlflow: input({
          experiment: Name('Name of the experiment, which is created if it does not exist.'),
          name: runName,
          tags: Type.Optional(
            Type.Unsafe<Record<string, string>>({
              type: 'object',
              maxProperties: 16,
              propertyNames: { type: 'string', pattern: '^[A-Za-z0-9_./ -]{1,64}$' },
              additionalProperties: { type: 'string', maxLength: 512 },
            }),
          ),
        }),
        trackio: input({
          project: Type.String({ minLength: 1, maxLength: 128, pattern: '^[A-Za-z0-9][A-Za-z0-9 ._-]*$' }),
          name: runName,
          group: Type.Optional(
            nullable(Name('Group of the run. Runs of the same group are displayed together.')),
          ),
        }),
      }),
    },
    {
      $id: 'JobIntegration',
      description: 'Integration of a job: the `type`, and the settings of that type.',
    },
  ),
);
namedSchemas.push(JobIntegrationSchema);

export const IntegrationSchema = named('Integration', {
  id: Type.String(),
  object: Type.Literal('integration'),
  created_at: Time,
  updated_at: Time,
  type: oneOf(integrationTypes),
  url: Type.String(),
  username: nullable(Type.String()),
  has_secret: Type.Boolean({
    description: 'Whether a secret is stored. The secret itself is never returned.',
  }),
  ...makerFields('set the URL or secret', 'disables the integration'),
  enabled: Type.Boolean({
    description: 'If false, nothing is sent there until an admin sets a URL or secret again.',
  }),
  disabled_reason: nullable(Type.String()),
});

export const PutIntegrationSchema = namedInput(
  'SetIntegration',
  optional({
    url: Type.String({
      minLength: 1,
      maxLength: 2048,
      description: `URL of the service: https, port 443 or 8443, on a public host. The operator can allow other URLs (GRAFT_INTEGRATION_ALLOW). Default for wandb: ${defaultUrls.wandb}. Omit it for huggingface, whose URL the operator sets (HF_ENDPOINT).`,
    }),
    username: nullable(
      Type.String({
        minLength: 1,
        maxLength: 256,
        pattern: '^[^:\\p{C}]+$',
        description: 'User name for mlflow; `secret` is then the password.',
      }),
    ),
    secret: nullable(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        pattern: '^[\\x21-\\x7e]+$',
        description:
          'API key, token or password. It is stored encrypted and never returned. If omitted, the stored secret is kept, provided that the URL has the same origin.',
      }),
    ),
  }),
  { description: 'Omitted fields keep their values; null removes a value.' },
);

export const DeletedIntegrationSchema = deletedSchema('DeletedIntegration', 'integration');

export const IntegrationParams = Type.Object({
  type: Type.String({ description: integrationTypes.join(', ') }),
});

/** Where to send a job's metrics: OpenAI's request shape for wandb, and the same shape for the other trackers. */
export type JobIntegrationRequest =
  | { type: 'wandb'; wandb: WandbSettings }
  | { type: 'mlflow'; mlflow: MlflowSettings }
  | { type: 'trackio'; trackio: TrackioSettings };

export type WandbSettings = {
  project: string;
  /** Default: the job's id. */
  name?: string | null;
  /** User or team that owns the project; default: the API key's own entity. */
  entity?: string | null;
  tags?: string[];
};

export type MlflowSettings = {
  experiment: string;
  /** Default: the job's id. */
  name?: string | null;
  tags?: Record<string, string>;
};

export type TrackioSettings = {
  project: string;
  /** Default: the job's id. */
  name?: string | null;
  group?: string | null;
};
