import type { ProviderLogout } from '@graft/service';
import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { ApiError } from '../api-error.ts';

/** The member of `events` that makes a token one of back-channel logout. */
const event = 'http://schemas.openid.net/event/backchannel-logout';
/** Seconds that a token is good for, whatever it says itself, and that clocks may differ. */
const limits = { age: 600, skew: 30 };
/** Of public keys alone: whoever knows a client's secret is not the provider. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/**
 * Verifies a logout token as OpenID Connect Back-Channel Logout 1.0 has it: signed by the provider, of one of `issuers` for `clientId`,
 * fresh, with the event and without a nonce, so that no ID token passes for one. Throws ApiError `invalid_logout_token`, and what `keys`
 * throws when the provider is away.
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
