import type { ProviderLogout, VerifiedClaims } from '@graft/service/sessions';
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';
import * as openid from 'openid-client';
import { ApiError } from '../api-error.ts';
import { createFairQueue } from '../threads/fair-queue.ts';
import { type Flow, flowSeconds } from './flow-cookie.ts';
import { readLogoutToken } from './logout-token.ts';
import { ProviderAway, providerFetch } from './provider-fetch.ts';
import { isEntra, type OidcSettings } from './sign-in-settings.ts';

/** Milliseconds for which the provider's metadata is cached; its keys are fetched again when a key is unknown. */
const believedMs = 3600_000;
/** Tolerated clock skew between two machines, in seconds. */
const clockTolerance = 30;
const maxGroups = 20_000;
/** Maximum concurrent sign-ins at the provider, per address and per process. */
const running = { perOwner: 8, all: 64 };
/** Maximum waiting sign-ins. */
const waiting = { perOwner: 24, all: 1024 };

export interface OidcClient {
  /** The URL for a browser to sign in at. Throws ApiError `sign_in_failed`, `sign_in_unavailable`. */
  authorizationUrl(flow: Flow): Promise<URL>;
  /**
   * Returns the person who returned from this address with these parameters. Throws ApiError `sign_in_failed`, `sign_in_unavailable`,
   * `invalid_groups`, `too_many_requests`.
   */
  finish(parameters: URLSearchParams, flow: Flow, address: string): Promise<VerifiedClaims>;
  /** The URL for a browser to sign out at the provider. Null: the provider has none or is unavailable. */
  endSessionUrl(): Promise<URL | null>;
  /** Verifies and reads a logout token of the provider. Throws ApiError `invalid_logout_token`, `sign_in_unavailable`. */
  readLogout(token: string): Promise<ProviderLogout>;
}

/** Client of an OpenID Connect provider, first contacted when somebody signs in: Graft starts and works without it. */
export function createOidcClient(oidc: OidcSettings, publicUrl: URL): OidcClient {
  const redirectUri = new URL('/v1/sign-in/callback', publicUrl).href;
  let known: { configuration: Promise<openid.Configuration>; until: number } | null = null;
  let keys: { address: string; find: JWTVerifyGetKey } | null = null;
  const queue = createFairQueue({ running, waiting });

  function configuration(): Promise<openid.Configuration> {
    if (known && known.until > Date.now()) return known.configuration;
    const asked = { configuration: discover(oidc), until: Date.now() + believedMs };
    known = asked;
    asked.configuration.catch(() => {
      if (known === asked) known = null;
    });
    return asked.configuration;
  }

  /** Runs `work` on the provider and converts its errors for the client. */
  async function asking<T>(work: (configuration: openid.Configuration) => Promise<T>): Promise<T> {
    try {
      return await work(
        await configuration().catch((error) => {
          throw error instanceof ApiError ? error : unavailable(error);
        }),
      );
    } catch (error) {
      if (error instanceof ApiError) throw error;
      if (isAway(error)) throw unavailable(error);
      throw new ApiError('sign_in_failed', 'The response of the provider is invalid: start again.', {
        cause: error,
      });
    }
  }

  async function inTurn<T>(address: string, work: () => Promise<T>): Promise<T> {
    return await queue.run(address, work);
  }

  return {
    authorizationUrl: async ({ state, nonce, codeVerifier, reauthenticate }) =>
      await asking(async (config) =>
        openid.buildAuthorizationUrl(config, {
          redirect_uri: redirectUri,
          scope: oidc.scopes.join(' '),
          state,
          nonce,
          code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
          // `max_age` also makes the provider return `auth_time`.
          ...(reauthenticate && { prompt: 'login', max_age: '0' }),
        }),
      ),

    finish: async (parameters, flow, address) =>
      await inTurn(address, () =>
        asking(async (config) => {
          const tokens = await openid.authorizationCodeGrant(
            config,
            new URL(`${redirectUri}?${parameters}`),
            {
              expectedState: flow.state,
              expectedNonce: flow.nonce,
              pkceCodeVerifier: flow.codeVerifier,
              idTokenExpected: true,
              ...(flow.reauthenticate && { maxAge: flowSeconds }),
            },
          );
          const token = tokens.claims()!;
          if (flow.reauthenticate) checkProof(token, flow);
          checkTenant(token.iss, oidc);
          // Many providers omit emails and groups from tokens.
          const isAsked = config.serverMetadata().userinfo_endpoint !== undefined && !isWhole(token, oidc);
          const more = isAsked ? await openid.fetchUserInfo(config, tokens.access_token, token.sub) : {};
          // Email and its verification must come from one source: userinfo may have another email than the token.
          const isAlike = token.email === undefined || token.email === (more as Partial<Claims>).email;
          const claims = isAlike ? { ...more, ...token } : { ...withoutEmail(more), ...token };
          // Only from the signed token.
          const authenticatedAt = token.auth_time === undefined ? null : new Date(token.auth_time * 1000);
          return { ...verifiedBy(claims, oidc), authenticatedAt };
        }),
      ),

    endSessionUrl: async () =>
      await asking(async (config) =>
        config.serverMetadata().end_session_endpoint === undefined
          ? null
          : openid.buildEndSessionUrl(config, { post_logout_redirect_uri: publicUrl.href }),
      ).catch(() => null),

    readLogout: async (token) =>
      await asking(async (config) => {
        const { issuer, jwks_uri: address } = config.serverMetadata();
        if (address === undefined) throw unavailable(new Error('it names no keys'));
        if (keys?.address !== address) keys = { address, find: keysAt(address, oidc) };
        const issuers = oidc.allowedIssuers.length > 0 ? oidc.allowedIssuers : [issuer];
        return await readLogoutToken(token, keys.find, { issuers, clientId: oidc.clientId });
      }),
  };
}

/** The provider's keys, fetched again for a token with an unknown key, at most once in half a minute. */
function keysAt(address: string, { timeoutMs }: OidcSettings): JWTVerifyGetKey {
  const fetchKeys = providerFetch(timeoutMs);
  return createRemoteJWKSet(new URL(address), {
    timeoutDuration: timeoutMs,
    cacheMaxAge: believedMs,
    [customFetch]: async (url, { headers, method }) =>
      await fetchKeys(url, {
        headers: Object.fromEntries(headers),
        method: method as 'GET',
        redirect: 'manual',
        body: undefined,
      }),
  });
}

async function discover(oidc: OidcSettings): Promise<openid.Configuration> {
  const { clientSecret: secret } = oidc;
  const shows =
    oidc.clientAuthentication === 'client_secret_basic' ? openid.ClientSecretBasic : openid.ClientSecretPost;
  const discovery = openid.discovery(
    oidc.issuer,
    oidc.clientId,
    { [openid.clockTolerance]: clockTolerance },
    secret === undefined ? openid.None() : shows(secret),
    {
      [openid.customFetch]: providerFetch(oidc.timeoutMs),
      timeout: oidc.timeoutMs / 1000,
      execute: [
        // Verifies with the provider's published keys, fetched again for a token with an unknown key, at most once a minute.
        openid.enableNonRepudiationChecks,
        ...(oidc.issuer.protocol === 'http:' ? [openid.allowInsecureRequests] : []),
      ],
    },
  );
  const configuration = await discovery.catch((error) => {
    const named = error?.cause?.body?.issuer;
    throw typeof named === 'string' ? wrongIssuer(named) : error;
  });
  checkIssuer(configuration.serverMetadata().issuer, oidc);
  return configuration;
}

/**
 * Checks that the issuer in the provider's metadata is the configured one. openid-client accepts any issuer from Entra and B2C, where it is
 * `{tenantid}` for the user's tenant. That is allowed only with a list of tenants, against which `checkTenant` compares.
 */
function checkIssuer(named: string, { issuer, allowedIssuers }: OidcSettings): void {
  const isFine =
    allowedIssuers.length > 0
      ? allowedIssuers.includes(named) || named.includes('{tenantid}')
      : new URL(named).href === issuer.href;
  if (!isFine) throw wrongIssuer(named);
}

function checkTenant(named: string, { allowedIssuers }: OidcSettings): void {
  if (allowedIssuers.length > 0 && !allowedIssuers.includes(named)) throw wrongIssuer(named);
}

/** Checks that the person authenticated after the flow started. */
function checkProof({ auth_time: at }: openid.IDToken, { endsAt }: Flow): void {
  if (at !== undefined && at >= endsAt / 1000 - flowSeconds - clockTolerance) return;
  throw new ApiError(
    'sign_in_failed',
    'The provider did not make you sign in again: sign out there, then start over.',
    { param: 'auth_time' },
  );
}

function wrongIssuer(named: string): ApiError {
  return new ApiError(
    'sign_in_failed',
    `Sign-in from the issuer ${named.slice(0, 200)} is not allowed: ask the operator of the service.`,
    { param: 'issuer' },
  );
}

function isAway(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof ProviderAway) return true;
  return false;
}

function unavailable(cause: unknown): ApiError {
  return new ApiError(
    'sign_in_unavailable',
    'The identity provider is unavailable; try again. Existing sessions and keys keep working.',
    { headers: { 'retry-after': '5' }, cause },
  );
}

type Claims = Record<string, unknown> & { sub: string; iss: string };

function withoutEmail(claims: object): object {
  return { ...claims, email_verified: undefined, xms_edov: undefined };
}

function isWhole(claims: object, { groupsClaim }: OidcSettings): boolean {
  return Object.hasOwn(claims, 'email') && Object.hasOwn(claims, groupsClaim);
}

function verifiedBy(claims: Claims, oidc: OidcSettings): VerifiedClaims {
  const { email, email_verified: isVerified, name } = claims;
  const isEmailVerified =
    isVerified === true ||
    (isVerified === undefined && (oidc.assumeEmailVerified || isOfOwnDomain(claims, oidc)));
  return {
    issuer: claims.iss,
    subject: claims.sub,
    email: typeof email === 'string' && isEmailVerified ? email : null,
    name: typeof name === 'string' ? name : null,
    groups: groupsIn(claims, oidc),
    providerSession: typeof claims.sid === 'string' && claims.sid.length <= 256 ? claims.sid : null,
  };
}

/** Entra's own claim: the tenant has proved that it owns the domain of the email. */
function isOfOwnDomain({ xms_edov: isProved }: Claims, { issuer }: OidcSettings): boolean {
  return isEntra(issuer) && [true, 1, '1', 'true'].includes(isProved as never);
}

/**
 * Returns the groups that the configuration names; none if the claim is absent. Throws if the claim is not a list of strings or refers to
 * another source: it must not be treated as empty, which would remove memberships.
 */
function groupsIn(claims: Claims, { groupsClaim, teams, operatorGroups }: OidcSettings): string[] {
  const named = new Set([...teams.map(({ group }) => group), ...operatorGroups]);
  if (named.size === 0) return [];
  const value = claims[groupsClaim];
  const elsewhere = claims._claim_names;
  const isElsewhere =
    typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, groupsClaim);
  const groups = typeof value === 'string' ? [value] : (value ?? []);
  const isFine =
    !isElsewhere &&
    Array.isArray(groups) &&
    groups.length <= maxGroups &&
    groups.every((group) => typeof group === 'string');
  if (!isFine) {
    throw new ApiError(
      'invalid_groups',
      `The provider’s claim '${groupsClaim}' is not a list of at most ${maxGroups} groups: ask the operator of the service.`,
    );
  }
  return [...new Set(groups as string[])].filter((group) => named.has(group));
}
