import {
  type InvitationRecord,
  invitationSeconds,
  type Member,
  mostRunning,
  mostWeight,
  type PersonRecord,
  type Team,
} from '@graft/service';
import { type Static, Type } from 'typebox';
import { RoleSchema, secondsOrNull } from './api-key.ts';
import { After, limit } from './list.ts';
import { deletedSchema, input, named, namedInput, nullable, Time, unixSeconds } from './schema.ts';
import { SignedInSchema, TeamOfPersonSchema } from './session.ts';

export const TeamSchema = named('Team', {
  id: Type.String(),
  object: Type.Literal('team'),
  created_at: Time,
  name: Type.String({ description: 'Unique; part of the names of its models.' }),
  running_limit: Type.Integer({ description: 'Jobs that may run at once.' }),
  weight: Type.Integer({
    description: 'Its share of the machines, next to the weights of the other teams that have work.',
  }),
});

export const MemberSchema = named('TeamMember', {
  id: Type.String({ description: "The person's." }),
  object: Type.Literal('team.member'),
  created_at: Time,
  email: Type.String(),
  name: Type.String(),
  role: RoleSchema,
  source: Type.Enum(['manual', 'oidc'], { type: 'string', description: 'Who decides over it.' }),
  disabled: Type.Boolean({ description: 'By the operator: no key of the person works.' }),
});

const invitation = {
  id: Type.String(),
  object: Type.Literal('team.invitation'),
  created_at: Time,
  email: nullable(Type.String(), { description: 'Null: anyone with the link can accept it.' }),
  role: RoleSchema,
  created_by: nullable(Type.String(), { description: 'A person or a key. Null: the operator.' }),
  expires_at: Time,
  accepted_at: nullable(Time),
  accepted_by: nullable(Type.String()),
  revoked_at: nullable(Time),
};
export const InvitationSchema = named('Invitation', invitation);
export const CreatedInvitationSchema = named('CreatedInvitation', {
  ...invitation,
  token: Type.String({ description: 'For the link, `graft join`. It is shown this once.' }),
});

export const PersonSchema = named('Person', {
  id: Type.String(),
  object: Type.Literal('person'),
  created_at: Time,
  email: Type.String(),
  name: Type.String(),
  is_operator: Type.Boolean({ description: 'May hold keys of the operator.' }),
  disabled_at: nullable(Time, { description: 'Since then none of their keys works.' }),
});

const PersonName = Type.String({ minLength: 1, maxLength: 100 });
const Email = Type.String({ minLength: 3, maxLength: 254 });

export const CreateInvitationSchema = namedInput('CreateInvitation', {
  email: Type.Optional(
    nullable(Email, {
      description: 'Only a person with this email can accept it. Null: anyone with the link.',
    }),
  ),
  role: Type.Optional(RoleSchema),
  expires_in: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: invitationSeconds.most,
      default: invitationSeconds.byDefault,
      description: 'Seconds.',
    }),
  ),
});

export const AcceptInvitationSchema = namedInput('AcceptInvitation', {
  token: Type.String({ minLength: 1, maxLength: 256 }),
  email: Type.Optional(Email),
  name: Type.Optional(PersonName),
});

const TeamName = Type.Object({ id: Type.String(), name: Type.String() });

export const AcceptedInvitationSchema = named('AcceptedInvitation', {
  object: Type.Literal('invitation.accepted'),
  team: TeamName,
  role: RoleSchema,
  person: Type.Object({ id: Type.String(), email: Type.String(), name: Type.String() }),
  key_id: Type.String(),
  key: Type.String({ description: "The person's key for this team. It is shown this once." }),
});

export const MeSchema = named('Me', {
  object: Type.Literal('me'),
  kind: Type.Enum(['team', 'operator', 'person'], {
    type: 'string',
    description: '`person`: signed in, and of no team so far.',
  }),
  team: nullable(TeamName),
  role: nullable(RoleSchema),
  scopes: nullable(Type.Array(Type.String()), { description: 'Null: all that the role may.' }),
  models: nullable(Type.Array(Type.String()), { description: 'Null: all.' }),
  key: nullable(Type.Object({ id: Type.String(), expires_at: nullable(Time) })),
  person: nullable(Type.Object({ id: Type.String(), email: Type.String(), name: Type.String() })),
  is_operator: Type.Boolean({ description: 'May use the routes of the operator.' }),
  teams: nullable(Type.Array(TeamOfPersonSchema), {
    description: 'Teams of a signed-in person. Null for a key.',
  }),
  session: nullable(SignedInSchema, { description: 'Null: by a key.' }),
});

export const SetRoleSchema = namedInput('SetRole', { role: RoleSchema });
export const CreateTeamSchema = namedInput('CreateTeam', {
  name: Type.String({ minLength: 1, maxLength: 40 }),
  running_limit: Type.Optional(Type.Integer({ minimum: 1, maximum: mostRunning, default: 8 })),
  weight: Type.Optional(Type.Integer({ minimum: 1, maximum: mostWeight, default: 1 })),
});
export const UpdateTeamSchema = namedInput(
  'UpdateTeam',
  {
    running_limit: Type.Optional(Type.Integer({ minimum: 1, maximum: mostRunning })),
    weight: Type.Optional(
      Type.Integer({ minimum: 1, maximum: mostWeight, description: 'Counts from the next turn on.' }),
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
      'Keys of the team or of others that the person made, directly or by other keys, and that still work, at most 1,000: the person may know their secrets.',
  }),
});
export const ErasedPersonSchema = deletedSchema('ErasedPerson', 'person');
export const RevokedInvitationSchema = deletedSchema('RevokedInvitation', 'team.invitation');

/** Query of lists of people, teams, invitations and workers. */
export const ListQuery = input({ after: After, limit: limit(20, 1000) });
export const ListTeamsQuery = input({
  ...ListQuery.properties,
  name: Type.Optional(
    Type.String({ minLength: 1, maxLength: 40, description: 'Only the team of this name.' }),
  ),
});
export const ListPeopleQuery = input({
  ...ListQuery.properties,
  email: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 254,
      description: 'Only the person with this email, in any case.',
    }),
  ),
});
export const DeleteTeamQuery = input({
  name: Type.String({ maxLength: 64, description: 'The name of the team, to be sure.' }),
});
export const MemberParams = Type.Object({ person_id: Type.String() });
export const InvitationParams = Type.Object({ invitation_id: Type.String() });
export const TeamParams = Type.Object({ team_id: Type.String() });
export const TeamMemberParams = Type.Object({ team_id: Type.String(), person_id: Type.String() });

export function toWireTeam(team: Team): Static<typeof TeamSchema> {
  const { id, name, runningLimit: running_limit, weight } = team;
  return { id, object: 'team', created_at: unixSeconds(team.createdAt), name, running_limit, weight };
}

export function toWireMember(member: Member): Static<typeof MemberSchema> {
  return {
    id: member.personId,
    object: 'team.member',
    created_at: unixSeconds(member.createdAt),
    email: member.email,
    name: member.name,
    role: member.role,
    source: member.source,
    disabled: member.disabledAt !== null,
  };
}

export function toWireInvitation(record: InvitationRecord): Static<typeof InvitationSchema> {
  return {
    id: record.id,
    object: 'team.invitation',
    created_at: unixSeconds(record.createdAt),
    email: record.email,
    role: record.role,
    created_by: record.createdBy,
    expires_at: unixSeconds(record.expiresAt),
    accepted_at: secondsOrNull(record.acceptedAt),
    accepted_by: record.acceptedBy,
    revoked_at: secondsOrNull(record.revokedAt),
  };
}

export function toWirePerson(person: PersonRecord): Static<typeof PersonSchema> {
  return {
    id: person.id,
    object: 'person',
    created_at: unixSeconds(person.createdAt),
    email: person.email,
    name: person.name,
    is_operator: person.isOperator,
    disabled_at: secondsOrNull(person.disabledAt),
  };
}
