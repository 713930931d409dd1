import { defaultUrls, type Integration, integrationTypes, type JobIntegrationRequest } from '@graft/service';
import { type Static, Type } from 'typebox';
import {
  deletedSchema,
  input,
  named,
  namedInput,
  namedSchemas,
  nullable,
  Time,
  unixSeconds,
} from './schema.ts';

const Name = (description: string) => Type.String({ minLength: 1, maxLength: 128, description });
const runName = Type.Optional(nullable(Name('Of the run; the job’s id unless given.')));

/** OpenAI's format for `wandb`, and the same for other types. Other code checks that `type` and settings match. */
export const JobIntegrationSchema = Type.Unsafe<JobIntegrationRequest>(
  input(
    {
      type: Type.Enum([...integrationTypes], { type: 'string' }),
      wandb: Type.Optional(
        input({
          project: Type.String({ minLength: 1, maxLength: 128, pattern: '^[^/\\\\#?%:\\p{C}]+$' }),
          name: runName,
          entity: Type.Optional(
            nullable(
              Type.String({
                minLength: 1,
                maxLength: 128,
                pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
                description: 'Whose project it is; that of the API key unless given.',
              }),
            ),
          ),
          tags: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 50 })),
        }),
      ),
      mlflow: Type.Optional(
        input({
          experiment: Name('Made when there is none of this name.'),
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
      ),
      trackio: Type.Optional(
        input({
          project: Type.String({
            minLength: 1,
            maxLength: 128,
            pattern: '^[A-Za-z0-9][A-Za-z0-9 ._-]*$',
          }),
          name: runName,
          group: Type.Optional(nullable(Name('Runs of one group are shown together.'))),
        }),
      ),
    },
    { $id: 'JobIntegration', description: 'A `type`, and the settings of that type.' },
  ),
);
namedSchemas.push(JobIntegrationSchema);

export const IntegrationSchema = named('Integration', {
  id: Type.String(),
  object: Type.Literal('integration'),
  created_at: Time,
  updated_at: Time,
  type: Type.Enum([...integrationTypes], { type: 'string' }),
  url: Type.String(),
  username: nullable(Type.String()),
  has_secret: Type.Boolean({ description: 'The secret itself is never shown.' }),
});

export const PutIntegrationSchema = namedInput(
  'SetIntegration',
  {
    url: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 2048,
        description: `Where the service is: https, port 443 or 8443, a host on the internet. What else may be reached, the operator opens (GRAFT_INTEGRATION_ALLOW). wandb: ${defaultUrls.wandb} unless given.`,
      }),
    ),
    username: Type.Optional(
      nullable(
        Type.String({
          minLength: 1,
          maxLength: 256,
          pattern: '^[^:\\p{C}]+$',
          description: 'With it, `secret` is a password (mlflow).',
        }),
      ),
    ),
    secret: Type.Optional(
      nullable(
        Type.String({
          minLength: 1,
          maxLength: 4096,
          pattern: '^[\\x21-\\x7e]+$',
          description:
            'API key, token or password. It is stored encrypted and never shown. Absent: the one that is there stays, as long as the URL has the same origin.',
        }),
      ),
    ),
  },
  { description: 'What is absent stays as it is; null takes it away.' },
);

export const DeletedIntegrationSchema = deletedSchema('DeletedIntegration', 'integration');

export const IntegrationParams = Type.Object({
  type: Type.String({ description: integrationTypes.join(', ') }),
});

export function toWireIntegration(integration: Integration): Static<typeof IntegrationSchema> {
  return {
    id: integration.id,
    object: 'integration',
    created_at: unixSeconds(integration.createdAt),
    updated_at: unixSeconds(integration.updatedAt),
    type: integration.type,
    url: integration.url,
    username: integration.username,
    has_secret: integration.hasSecret,
  };
}
