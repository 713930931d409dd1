import type { ProviderLogout } from '@graft/service/sessions';
import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { ApiError } from '../api-error.ts';

/** The member of `events` that identifies a token as a back-channel logout token. */
const event = 'http://schemas.openid.net/event/backchannel-logout';
/** Maximum age of a token in seconds, whatever its own expiry, and tolerated clock skew. */
const limits = { age: 600, skew: 30 };
/** Only asymmetric algorithms: anyone who knows a client secret could otherwise sign as the provider. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/**
 * Verifies a logout token as in OpenID Connect Back-Channel Logout 1.0: signed by the provider, of one of `issuers` for `clientId`, recent,
 * with the event and without a nonce, so that no ID token is accepted. Throws ApiError `invalid_logout_token`, and the errors of `keys`
 * when the provider is unavailable.
 */
export async function readLogoutToken(
  token: string,
  keys: JWTVerifyGetKey,
  { issuers, clientId }: { issuers: string[]; clientId: string },
): Promise<ProviderLogout> {
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer: issuers,
    audience: clientId,
    algorithms,
    clockTolerance: limits.skew,
    maxTokenAge: limits.age,
    requiredClaims: ['iss', 'aud', 'iat', 'jti', 'events'],
  }).catch((error) => {
    throw error instanceof errors.JOSEError ? invalid(error.code, error) : error;
  });
  const { iss, sub = null, sid = null, iat, jti, events, nonce } = payload;
  const { typ } = protectedHeader;
  if (typ !== undefined && !/^(?:application\/)?(?:logout\+)?jwt$/i.test(typ)) throw invalid('typ');
  if (nonce !== undefined) throw invalid('nonce');
  const named = isObject(events) ? events[event] : undefined;
  if (!isObject(named)) throw invalid('events');
  for (const [name, value] of Object.entries({ sub, sid }))
    if (value !== null && !isId(value)) throw invalid(name);
  if (sub === null && sid === null) throw invalid('sub or sid');
  if (!isId(jti)) throw invalid('jti');
  return {
    issuer: iss!,
    subject: sub,
    providerSession: sid as string | null,
    tokenId: jti,
    expiresAt: new Date((iat! + limits.age + 2 * limits.skew) * 1000),
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is string =>
  typeof value === 'string' && value.length >= 1 && value.length <= 256;

function invalid(what: string, cause?: unknown): ApiError {
  return new ApiError('invalid_logout_token', `The logout token does not hold: ${what}.`, {
    param: 'logout_token',
    cause,
  });
}
