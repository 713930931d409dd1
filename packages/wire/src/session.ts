import { Type } from 'typebox';
import { RoleSchema } from './api-key.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, optional, Time } from './schema.ts';

const Method = oneOf(['oidc', 'key'], {
  description:
    'How the session was created. `oidc`: sign-in at the provider. `key`: in exchange for an API key; the session has the permissions of the key and ends with it.',
});

export const SessionSchema = named('Session', {
  id: Type.String(),
  object: Type.Literal('session'),
  created_at: Time,
  method: Method,
  key_id: nullable(Type.String(), {
    description: 'Id of the API key that was exchanged for the session. Null for a sign-in at the provider.',
  }),
  current: Type.Boolean({ description: 'Whether this is the session of the request.' }),
  user_agent: nullable(Type.String()),
  last_used_at: Type.Integer({ description: 'Unix timestamp (in seconds) of the last use, to the minute.' }),
  expires_at: Time,
});

/** The session in `/me`. */
export const SignedInSchema = Type.Object({ id: Type.String(), method: Method, expires_at: Time });
export const TeamOfPersonSchema = Type.Object({ id: Type.String(), name: Type.String(), role: RoleSchema });

export const SignInQuery = input(
  optional({
    return_to: Type.String({
      description:
        'Path on this server to redirect to after sign-in. Default, also for any value that is not such a path: /v1/me.',
      maxLength: 4096,
    }),
    team: Type.String({
      maxLength: 100,
      description:
        'Id or name of the team to work in. Default: the first team assigned by a group of the provider, otherwise the first team joined.',
    }),
    reauthenticate: Type.Boolean({
      default: false,
      description:
        'Whether the provider must ask the person to authenticate again, which operators need every hour. The session keeps its team.',
    }),
  }),
);

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
  provider: Type.Boolean({ description: 'Whether GET /v1/sign-in redirects to a provider.' }),
  key: Type.Boolean({ description: 'Whether POST /v1/sign-in/key accepts API keys.' }),
  signed_in: Type.Boolean({ description: 'Whether the request has the cookie of a valid session.' }),
});
export const SignedOutSchema = named('SignedOut', {
  object: Type.Literal('signed_out'),
  end_session_url: nullable(Type.String(), {
    description: 'URL at which the browser signs out at the provider. Null if there is none.',
  }),
});
export const ChooseTeamSchema = namedInput('ChooseTeam', {
  team: Type.String({ minLength: 1, maxLength: 100, description: 'Id or name of the team.' }),
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
  created_at: Type.Integer({
    description: 'Unix timestamp (in seconds) at which the identity was linked to the person.',
  }),
  issuer: Type.String({ description: 'URL of the provider.' }),
  subject: Type.String({ description: 'Id of the person at the provider.' }),
  last_seen_at: Type.Integer({
    description: 'Unix timestamp (in seconds) of the last sign-in with this identity.',
  }),
});
export const UnlinkedIdentitySchema = deletedSchema('UnlinkedIdentity', 'identity');
export const IdentityParams = Type.Object({ identity_id: Type.String() });
export const IdentityOfPersonParams = Type.Object({ person_id: Type.String(), identity_id: Type.String() });
