import type { IdentityRecord, SessionRecord } from '@graft/service';
import { type Static, Type } from 'typebox';
import { RoleSchema } from './api-key.ts';
import { deletedSchema, input, named, namedInput, nullable, Time, unixSeconds } from './schema.ts';

const Method = Type.Enum(['oidc', 'key'], {
  type: 'string',
  description: '`oidc`: at the provider; `key`: by a key, whose rights it has and with which it ends.',
});

export const SessionSchema = named('Session', {
  id: Type.String(),
  object: Type.Literal('session'),
  created_at: Time,
  method: Method,
  key_id: nullable(Type.String(), { description: 'The key that was exchanged.' }),
  current: Type.Boolean({ description: 'The one that asks.' }),
  user_agent: nullable(Type.String()),
  last_used_at: Type.Integer({ description: 'Unix seconds, to the minute.' }),
  expires_at: Time,
});

/** The session in `/me`. */
export const SignedInSchema = Type.Object({ id: Type.String(), method: Method, expires_at: Time });
export const TeamOfPersonSchema = Type.Object({ id: Type.String(), name: Type.String(), role: RoleSchema });

export const SignInQuery = input({
  return_to: Type.Optional(
    Type.String({
      description: 'A path of this server to go on to, such as /v1/me, which any other value becomes.',
      maxLength: 4096,
    }),
  ),
  team: Type.Optional(
    Type.String({
      maxLength: 100,
      description:
        'The team to work in, by id or name. Absent: the first that a group gave, or else that was joined.',
    }),
  ),
  reauthenticate: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'The provider asks the person again who they are, as operators must show every hour. The session works on in its team.',
    }),
  ),
});

/** Parameters of the callback. The provider may add others. */
export const CallbackQuery = Type.Object({
  code: Type.Optional(Type.String({ maxLength: 8192 })),
  state: Type.Optional(Type.String({ maxLength: 1024 })),
  iss: Type.Optional(Type.String({ maxLength: 1024 })),
  error: Type.Optional(Type.String({ maxLength: 256 })),
});

export const KeySignInSchema = namedInput('KeySignIn', {
  key: Type.String({ minLength: 1, maxLength: 256 }),
});
export const LogoutTokenSchema = Type.Object({
  logout_token: Type.String({ minLength: 1, maxLength: 16_000 }),
});
export const SignInOptionsSchema = named('SignInOptions', {
  object: Type.Literal('sign_in_options'),
  provider: Type.Boolean({ description: 'GET /v1/sign-in goes to a provider.' }),
  key: Type.Boolean({ description: 'POST /v1/sign-in/key takes keys.' }),
  signed_in: Type.Boolean({ description: 'The cookie that came is of a session that is let in.' }),
});
export const SignedOutSchema = named('SignedOut', {
  object: Type.Literal('signed_out'),
  end_session_url: nullable(Type.String(), {
    description: 'Where the browser signs out at the provider. Null: nowhere.',
  }),
});
export const ChooseTeamSchema = namedInput('ChooseTeam', {
  team: Type.String({ minLength: 1, maxLength: 100, description: 'By id or name.' }),
});
export const AcceptAsMeSchema = namedInput('AcceptInvitationAsMe', {
  token: Type.String({ minLength: 1, maxLength: 256 }),
});
export const JoinedSchema = named('JoinedTeam', {
  object: Type.Literal('invitation.accepted'),
  team: Type.Object({ id: Type.String(), name: Type.String() }),
  role: RoleSchema,
});
export const EndedSessionSchema = deletedSchema('EndedSession', 'session');
export const EndedSessionsSchema = named('EndedSessions', {
  object: Type.Literal('sessions.ended'),
  count: Type.Integer(),
});
export const SessionParams = Type.Object({ session_id: Type.String() });

export const IdentitySchema = named('PersonIdentity', {
  id: Type.String(),
  object: Type.Literal('identity'),
  created_at: Type.Integer({ description: 'Unix seconds: when it was linked to the person.' }),
  issuer: Type.String({ description: 'The provider.' }),
  subject: Type.String({ description: 'What the provider calls the person.' }),
  last_seen_at: Type.Integer({ description: 'Unix seconds: the last sign-in by it.' }),
});
export const UnlinkedIdentitySchema = deletedSchema('UnlinkedIdentity', 'identity');
export const IdentityParams = Type.Object({ identity_id: Type.String() });
export const IdentityOfPersonParams = Type.Object({ person_id: Type.String(), identity_id: Type.String() });

export function toWireSession(record: SessionRecord, current: string | null): Static<typeof SessionSchema> {
  return {
    id: record.id,
    object: 'session',
    created_at: unixSeconds(record.createdAt),
    method: record.method,
    key_id: record.keyId,
    current: record.id === current,
    user_agent: record.userAgent,
    last_used_at: unixSeconds(record.lastUsedAt),
    expires_at: unixSeconds(record.expiresAt),
  };
}

export function toWireIdentity(record: IdentityRecord): Static<typeof IdentitySchema> {
  return {
    id: record.id,
    object: 'identity',
    created_at: unixSeconds(record.createdAt),
    issuer: record.issuer,
    subject: record.subject,
    last_seen_at: unixSeconds(record.lastSeenAt),
  };
}
