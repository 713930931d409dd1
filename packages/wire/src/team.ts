import { Type } from 'typebox';
import { RoleSchema } from './api-key.ts';
import { After, limit } from './list.ts';
import { invitationSeconds, maxRunning, maxWeight } from './lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, optional, Time } from './schema.ts';
import { SignedInSchema, TeamOfPersonSchema } from './session.ts';

export const TeamSchema = named('Team', {
  id: Type.String(),
  object: Type.Literal('team'),
  created_at: Time,
  name: Type.String({ description: 'Unique name of the team, which is part of the names of its models.' }),
  running_limit: Type.Integer({ description: 'Maximum number of jobs that run at the same time.' }),
  weight: Type.Integer({
    description: 'Share of the compute relative to the weights of the other teams that have work.',
  }),
});

export const MemberSchema = named('TeamMember', {
  id: Type.String({ description: 'Id of the person.' }),
  object: Type.Literal('team.member'),
  created_at: Time,
  email: Type.String(),
  name: Type.String(),
  role: RoleSchema,
  source: oneOf(['manual', 'oidc'], {
    description:
      'What controls the membership. `manual`: admins of the team or the operator. `oidc`: the groups of the sign-in provider.',
  }),
  disabled: Type.Boolean({
    description: 'Whether the operator disabled the person, so that none of their keys works.',
  }),
});

const invitation = {
  id: Type.String(),
  object: Type.Literal('team.invitation'),
  created_at: Time,
  email: nullable(Type.String(), {
    description: 'Email that the invitation is limited to. Null: anyone with the link can accept it.',
  }),
  role: RoleSchema,
  created_by: nullable(Type.String(), {
    description: 'Id of the person or key that created the invitation. Null: the operator.',
  }),
  expires_at: Time,
  accepted_at: nullable(Time),
  accepted_by: nullable(Type.String()),
  revoked_at: nullable(Time),
};
export const InvitationSchema = named('Invitation', invitation);
export const CreatedInvitationSchema = named('CreatedInvitation', {
  ...invitation,
  token: Type.String({ description: 'Token for the link and `graft join`. It is returned only once.' }),
});

export const PersonSchema = named('Person', {
  id: Type.String(),
  object: Type.Literal('person'),
  created_at: Time,
  email: Type.String(),
  name: Type.String(),
  is_operator: Type.Boolean({ description: 'Whether the person is an operator and may hold operator keys.' }),
  disabled_at: nullable(Time, {
    description:
      'Unix timestamp (in seconds) since which the person is disabled and none of their keys works. Null if the person is not disabled.',
  }),
});

const PersonName = Type.String({ minLength: 1, maxLength: 100 });
const Email = Type.String({ minLength: 3, maxLength: 254 });

export const CreateInvitationSchema = namedInput(
  'CreateInvitation',
  optional({
    email: nullable(Email, {
      description:
        'Email of the only person who can accept the invitation. Null or omitted: anyone with the link can.',
    }),
    role: RoleSchema,
    expires_in: Type.Integer({
      minimum: 1,
      maximum: invitationSeconds.most,
      default: invitationSeconds.byDefault,
      description: 'Lifetime in seconds.',
    }),
  }),
);

export const AcceptInvitationSchema = namedInput('AcceptInvitation', {
  token: Type.String({ minLength: 1, maxLength: 256 }),
  email: Type.Optional(Email),
  name: Type.Optional(PersonName),
});

export const PreviewInvitationSchema = namedInput('PreviewInvitation', {
  token: Type.String({ minLength: 1, maxLength: 256 }),
});

export const InvitationPreviewSchema = named('InvitationPreview', {
  object: Type.Literal('invitation.preview'),
  team_name: Type.String(),
  role: RoleSchema,
  invited_by: nullable(Type.String(), {
    description: 'Name of the person who invites. Null if a key of the team or the operator invites.',
  }),
  expires_at: Time,
});

const TeamName = Type.Object({ id: Type.String(), name: Type.String() });

export const AcceptedInvitationSchema = named('AcceptedInvitation', {
  object: Type.Literal('invitation.accepted'),
  team: TeamName,
  role: RoleSchema,
  person: Type.Object({ id: Type.String(), email: Type.String(), name: Type.String() }),
  key_id: Type.String(),
  key: Type.String({ description: 'API key of the person for this team. It is returned only once.' }),
});

export const MeSchema = named('Me', {
  object: Type.Literal('me'),
  kind: oneOf(['team', 'operator', 'person'], {
    description:
      'Kind of caller: a key or session in a team, the operator, or a signed-in `person` who is in no team.',
  }),
  team: nullable(TeamName),
  role: nullable(RoleSchema),
  scopes: nullable(Type.Array(Type.String()), {
    description: 'Scopes that the caller is limited to. Null: everything that the role allows.',
  }),
  models: nullable(Type.Array(Type.String()), {
    description: 'Models that the caller is limited to. Null: all models.',
  }),
  key: nullable(Type.Object({ id: Type.String(), expires_at: nullable(Time) })),
  person: nullable(Type.Object({ id: Type.String(), email: Type.String(), name: Type.String() })),
  is_operator: Type.Boolean({ description: 'Whether the caller may use the operator’s routes.' }),
  teams: nullable(Type.Array(TeamOfPersonSchema), {
    description: 'Teams of the signed-in person. Null for a key.',
  }),
  session: nullable(SignedInSchema, { description: 'Session of the caller. Null for a key.' }),
});

export const SetRoleSchema = namedInput('SetRole', { role: RoleSchema });
export const CreateTeamSchema = namedInput('CreateTeam', {
  name: Type.String({ minLength: 1, maxLength: 40 }),
  running_limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxRunning, default: 8 })),
  weight: Type.Optional(Type.Integer({ minimum: 1, maximum: maxWeight, default: 1 })),
});
export const UpdateTeamSchema = namedInput(
  'UpdateTeam',
  {
    running_limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxRunning })),
    weight: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: maxWeight,
        description: 'Share of the compute relative to other teams. Applies from the next turn.',
      }),
    ),
  },
  { minProperties: 1 },
);
export const CreatePersonSchema = namedInput('CreatePerson', {
  email: Email,
  name: PersonName,
  is_operator: Type.Optional(Type.Boolean({ default: false })),
});
export const UpdatePersonSchema = namedInput(
  'UpdatePerson',
  {
    name: Type.Optional(PersonName),
    is_operator: Type.Optional(Type.Boolean()),
    disabled: Type.Optional(Type.Boolean()),
  },
  { minProperties: 1 },
);

export const DeletedTeamSchema = deletedSchema('DeletedTeam', 'team');
export const RemovedMemberSchema = deletedSchema('RemovedMember', 'team.member', {
  keys_left: Type.Array(Type.String(), {
    description:
      'Ids of keys that the person created for the team or for others, directly or through other keys, and that still work; at most 1,000. The person may know their secrets.',
  }),
  exits_ended: Type.Array(Type.String(), {
    description: 'Ids of webhook endpoints, integrations, deploy targets and publications that were ended.',
  }),
  exits_left: Type.Array(Type.String(), {
    description:
      'Ids of webhook endpoints, integrations, deploy targets and publications that the person made, directly or through keys, and that continue.',
  }),
});
export const RemoveMemberQuery = input({
  exits: Type.Optional(
    oneOf(['keep', 'end'], {
      default: 'keep',
      description:
        '`keep`: what the person made that sends to other servers continues, and is listed. `end`: it is disabled, and publications end.',
    }),
  ),
});
export const ErasedPersonSchema = deletedSchema('ErasedPerson', 'person');
export const RevokedInvitationSchema = deletedSchema('RevokedInvitation', 'team.invitation');

/** Query of lists of people, teams, invitations and workers. */
export const ListQuery = input({ after: After, limit: limit(20, 1000) });
export const ListTeamsQuery = input({
  ...ListQuery.properties,
  name: Type.Optional(
    Type.String({ minLength: 1, maxLength: 40, description: 'Name of the only team to return.' }),
  ),
});
export const ListPeopleQuery = input({
  ...ListQuery.properties,
  email: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 254,
      description: 'Email of the only person to return, case-insensitive.',
    }),
  ),
});
export const DeleteTeamQuery = input({
  name: Type.String({ maxLength: 64, description: 'Name of the team, as confirmation.' }),
});
export const MemberParams = Type.Object({ person_id: Type.String() });
export const InvitationParams = Type.Object({ invitation_id: Type.String() });
export const TeamParams = Type.Object({ team_id: Type.String() });
export const TeamMemberParams = Type.Object({ team_id: Type.String(), person_id: Type.String() });
