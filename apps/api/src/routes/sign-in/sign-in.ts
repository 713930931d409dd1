import { createHash } from 'node:crypto';
import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { parseApiKey, parseOperatorKey } from '@graft/service/secrets';
import {
  createKeySession,
  endProviderSessions,
  endSession,
  signInPerson,
  verifySession,
} from '@graft/service/sessions';
import { errorResponses } from '@graft/wire/error';
import { ref } from '@graft/wire/schema';
import {
  CallbackQuery,
  KeySignInSchema,
  LogoutTokenSchema,
  SessionSchema,
  SignedOutSchema,
  SignInOptionsSchema,
  SignInQuery,
} from '@graft/wire/session';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomNonce, randomPKCECodeVerifier, randomState } from 'openid-client';
import { Type } from 'typebox';
import { ApiError } from '../../api-error.ts';
import { checkSameOrigin } from '../../sign-in/check-same-origin.ts';
import { cookies } from '../../sign-in/cookies.ts';
import { flowSeal, flowSeconds, parseReturnTo } from '../../sign-in/flow-cookie.ts';
import { createOidcClient, type OidcClient } from '../../sign-in/oidc-client.ts';
import { reportFailure } from '../../sign-in/report-failure.ts';
import type { SignInSettings } from '../../sign-in/sign-in-settings.ts';
import { operations } from '../operation.ts';

const tags = ['Sign-in'];
const operation = operations('Sign-in');
const redirect = { 302: Type.Null({ description: 'Redirect to the URL in Location.' }) };

export const signInRoutes: FastifyPluginAsyncTypebox<{ signIn: SignInSettings }> = async (
  app,
  { signIn },
) => {
  const { services } = app;
  const { oidc, publicUrl, limits } = signIn;
  const cookie = cookies(signIn);
  const seal = flowSeal(services.secrets.pepper);
  const provider = oidc && createOidcClient(oidc, publicUrl!);
  await app.register(backchannelLogoutRoutes, { provider });

  function withProvider() {
    if (oidc && provider && publicUrl) return { oidc, provider, publicUrl };
    throw new ApiError(
      'sign_in_not_configured',
      'This server has no sign-in provider: sign in with an API key, POST /v1/sign-in/key. The operator configures a provider with GRAFT_OIDC_CONFIG.',
    );
  }

  /** Starts a session and ends the browser's previous one, whose id must not stay valid. */
  async function startSession(
    request: FastifyRequest,
    reply: FastifyReply,
    made: { token: string; expiresAt: Date },
  ): Promise<void> {
    await endOwn(request);
    cookie.set('session', reply, made.token, (made.expiresAt.getTime() - Date.now()) / 1000);
  }

  async function endOwn(request: FastifyRequest): Promise<boolean> {
    const token = cookie.read('session', request);
    const own = await findSession(request, token);
    if (own) await endSession(services, token!);
    return own?.method === 'oidc';
  }

  async function findSession(request: FastifyRequest, token: string | undefined) {
    if (token === undefined) return null;
    const verify = () => verifySession(services, token, limits, null);
    return await app.rates.lookUp(request, token, verify);
  }

  async function teamNow(request: FastifyRequest): Promise<string | null> {
    const session = await findSession(request, cookie.read('session', request));
    return session?.identity?.teamId ?? null;
  }

  app.get(
    '/sign-in',
    {
      config: { access: 'public' },
      schema: {
        tags,
        summary: 'Sign in',
        description: 'For browsers: redirects to the provider, which redirects to /v1/sign-in/callback.',
        security: [],
        querystring: SignInQuery,
        response: { ...redirect, ...errorResponses(400, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const { provider, publicUrl } = withProvider();
      const { query } = request;
      const isAgain = query.reauthenticate === true;
      const flow = {
        state: randomState(),
        nonce: randomNonce(),
        codeVerifier: randomPKCECodeVerifier(),
        returnTo: parseReturnTo(query.return_to, publicUrl.origin),
        team: query.team ?? (isAgain ? await teamNow(request) : null),
        reauthenticate: isAgain,
        endsAt: Date.now() + flowSeconds * 1000,
      };
      const url = await reportFailure(services, request, async () => {
        await app.rates.countSignIn(request, reply);
        // Waiting for the provider must not block other requests without a key.
        reply.endTurn();
        return await provider.authorizationUrl(flow);
      });
      cookie.set('sign_in', reply, seal.seal(flow), flowSeconds);
      return reply.redirect(url.href, 302);
    },
  );

  app.get(
    '/sign-in/options',
    operation({ access: 'public' }, 'List sign-in methods', ref(SignInOptionsSchema), {
      description:
        'For pages: returns whether the browser is signed in already, and which ways to sign in to offer.',
      security: [],
    }),
    async (request) => {
      const token = cookie.read('session', request);
      return {
        object: 'sign_in_options' as const,
        provider: provider !== null,
        key: !oidc || oidc.allowKeySessions,
        signed_in: (await findSession(request, token)) !== null,
      };
    },
  );

  app.get(
    '/sign-in/callback',
    {
      config: { access: 'public' },
      schema: {
        tags,
        summary: 'Complete a sign-in at the provider',
        description: 'For browsers: sets the session cookie and redirects to `return_to`.',
        security: [],
        querystring: CallbackQuery,
        response: { ...redirect, ...errorResponses(400, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const { oidc, provider } = withProvider();
      return await reportFailure(services, request, async (attempt) => {
        const flow = seal.open(cookie.read('sign_in', request) ?? '');
        // The flow is used up, whatever the result.
        cookie.set('sign_in', reply, '', 0);
        if (!flow || flow.state !== request.query.state) {
          throw new ApiError(
            'sign_in_failed',
            'This browser started no such sign-in in the last ten minutes: start again at /v1/sign-in.',
            { param: 'state' },
          );
        }
        const { searchParams } = new URL(request.url, 'http://graft');
        attempt.refusal = searchParams.get('error');
        if (attempt.refusal !== null) {
          throw new ApiError(
            'sign_in_denied',
            'The provider refused the sign-in: start again at /v1/sign-in.',
          );
        }
        await app.rates.countSignIn(request, reply);
        reply.endTurn();
        const claims = await provider.finish(searchParams, flow, normalizeIP(request.ip));
        attempt.claims = claims;
        const made = await signInPerson(services, claims, oidc, {
          ...limits,
          flowId: createHash('sha256').update(flow.state).digest('hex'),
          team: flow.team,
          userAgent: request.headers['user-agent'],
        });
        await startSession(request, reply, made);
        return reply.redirect(flow.returnTo, 302);
      });
    },
  );

  app.post(
    '/sign-in/key',
    {
      // Small, since anyone may send it.
      bodyLimit: 8 * 1024,
      ...operation({ access: 'public' }, 'Sign in with an API key', ref(SessionSchema), {
        errors: [401, 403],
        description:
          'Exchanges an API key for a session cookie. The session has at most the permissions of the key, and ends with it. If a provider is configured, the operator must allow this.',
        security: [],
        body: ref(KeySignInSchema),
      }),
    },
    async (request, reply) => {
      checkSameOrigin(request, publicUrl);
      const userAgent = request.headers['user-agent'];
      const { key } = request.body;
      const made = await reportFailure(services, request, async (attempt) => {
        attempt.keyId = keyIdOf(key);
        if (oidc && !oidc.allowKeySessions) {
          throw new ApiError(
            'key_sign_in_disabled',
            'Keys cannot be used to sign in on this server: sign in at /v1/sign-in.',
          );
        }
        const found = await app.rates.lookUp(request, `Bearer ${key}`, () =>
          createKeySession(services, key, limits, userAgent),
        );
        if (found) return found;
        throw new ApiError('invalid_api_key', 'The API key is wrong, expired or revoked.');
      });
      await startSession(request, reply, made);
      const now = Math.floor(Date.now() / 1000);
      return {
        id: made.id,
        object: 'session' as const,
        created_at: now,
        method: 'key' as const,
        current: true,
        key_id: keyIdOf(key) ?? null,
        user_agent: userAgent?.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200) || null,
        last_used_at: now,
        expires_at: Math.floor(made.expiresAt.getTime() / 1000),
      };
    },
  );

  app.post(
    '/sign-out',
    operation({ access: 'public' }, 'Sign out', ref(SignedOutSchema), {
      errors: [403],
      description:
        'Ends the session of the cookie immediately, in every process. To sign out at the provider as well, the browser then goes to `end_session_url`, if there is one.',
      security: [],
    }),
    async (request, reply) => {
      checkSameOrigin(request, publicUrl);
      const wasAtProvider = await endOwn(request);
      cookie.set('session', reply, '', 0);
      reply.endTurn();
      const url = wasAtProvider && provider ? await provider.endSessionUrl() : null;
      return { object: 'signed_out' as const, end_session_url: url?.href ?? null };
    },
  );
};

/** The public part of a text in the format of a key. */
const keyIdOf = (key: string) => (parseApiKey(key) ?? parseOperatorKey(key))?.keyId;

/** /sign-in/backchannel-logout (OpenID Connect Back-Channel Logout 1.0): the provider reports sessions that it has ended. */
const backchannelLogoutRoutes: FastifyPluginAsyncTypebox<{ provider: OidcClient | null }> = async (
  app,
  { provider },
) => {
  const { services } = app;
  // Only for this route: no other route reads forms.
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: 16 * 1024 },
    async (_: unknown, body: string) => Object.fromEntries(new URLSearchParams(body)),
  );

  app.post(
    '/sign-in/backchannel-logout',
    {
      bodyLimit: 16 * 1024,
      config: { access: 'public' },
      // Hidden, since only the provider uses it, and knows the format from the standard.
      schema: { hide: true, body: LogoutTokenSchema },
    },
    async (request, reply) => {
      if (!provider) {
        throw new ApiError('sign_in_not_configured', 'No sign-in provider is configured.');
      }
      reply.header('cache-control', 'no-store');
      // Waiting for the provider's keys must not block other requests.
      reply.endTurn();
      const logout = await provider.readLogout(request.body.logout_token);
      const sessions = await endProviderSessions(services, logout);
      return { object: 'provider_logout' as const, sessions };
    },
  );
};
