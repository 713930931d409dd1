import { Type } from 'typebox';
import { After, limit } from '../list.ts';
import { exitKinds, maxPublishingRules } from '../lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, optional, Time } from '../schema.ts';

/** Fields of everything that sends to other servers. `made`: what its maker did; `end`: what revoking the key does. */
export const makerFields = (made: string, end: string) => ({
  created_by: nullable(Type.String(), {
    description: `Id of the person or key that ${made}. Null: not known, since an earlier version of Graft did not record it.`,
  }),
  made_by_key: nullable(Type.String(), {
    description: `Id of the key with which that was done. Null: none, or not known. Revoking the key ${end}.`,
  }),
});

export const ExitSchema = named('TeamExit', {
  id: Type.String(),
  object: Type.Literal('team.exit'),
  created_at: Time,
  kind: oneOf(exitKinds),
  name: Type.String({ description: 'Where it leads, or its name.' }),
  enabled: Type.Boolean({ description: 'False: it was disabled, and sends nothing.' }),
  ...makerFields('made it, or last decided where it leads', 'ends it'),
  maker_left: nullable(Type.Boolean(), {
    description:
      'Whether the maker has no access any more: the key was revoked or has expired without a successor, or the person has left or is disabled. Null: the maker is not known.',
  }),
});

export const ListExitsQuery = input(
  optional({
    made_by: Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'Id of a key or a person: only what it made, also through other keys that it made.',
    }),
    maker_left: Type.Boolean({
      description: 'Only those whose maker has no access any more, or still has it.',
    }),
  }),
);

export const PublishingRulesSchema = named('PublishingRules', {
  object: Type.Literal('team.publishing'),
  repositories: Type.Array(Type.String(), {
    description:
      'Repositories of the Hugging Face Hub to which the team may publish: `owner/name` in lower case, or `owner/*` and `owner/prefix-*`. Empty: to none.',
  }),
  public: Type.Boolean({ description: 'Whether publications may be public.' }),
  updated_at: nullable(Time, { description: 'Null: no admin of the team has set them.' }),
});

export const SetPublishingRulesSchema = namedInput(
  'SetPublishingRules',
  {
    repositories: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
        maxItems: maxPublishingRules,
        description:
          'Owners (`acme`) and repositories (`acme/support`, `acme/support-*`) that may be published to, instead of those before.',
      }),
    ),
    public: Type.Optional(Type.Boolean({ description: 'Whether publications may be public.' })),
  },
  { minProperties: 1 },
);

export const LeftoverSchema = named('DeployLeftover', {
  id: Type.String({ description: 'Id that the deploy target had.' }),
  object: Type.Literal('deploy_leftover'),
  created_at: Time,
  team_id: Type.String(),
  team_name: Type.String(),
  name: Type.String({ description: 'Name that the deploy target had.' }),
  runtime: Type.String(),
  url: Type.String(),
  model_name: Type.String({ description: 'Name of the adapter in the runtime, or the beginning of it.' }),
  unreachable_since: Time,
});
export const DismissedLeftoverSchema = deletedSchema('DismissedDeployLeftover', 'deploy_leftover');
export const LeftoverParams = Type.Object({ leftover_id: Type.String() });
export const ListLeftoversQuery = input({ after: After, limit: limit(20, 1000) });
