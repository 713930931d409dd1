import { instruments } from '@graft/service/observe';
import { findSubject } from '@graft/service/people';
import type { Services } from '@graft/service/services';
import type { VerifiedClaims } from '@graft/service/sessions';
import type { FastifyRequest } from 'fastify';
import { toApiError } from '../to-api-error.ts';

/** Known facts so far about the person who signs in. */
interface Attempt {
  claims?: Pick<VerifiedClaims, 'issuer' | 'subject'> & { email?: string | null };
  /** The public part of a key. */
  keyId?: string | undefined;
  /** The provider's error in the callback. */
  refusal?: string | null;
}

/**
 * Runs a sign-in. If it fails, counts it and logs the reason, the address and, if known, the person. Data from the provider and the browser
 * is not logged, except single words such as `invalid_grant`: anything else could be a code or a token.
 */
export async function reportFailure<T>(
  services: Services,
  request: FastifyRequest,
  signIn: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const attempt: Attempt = {};
  try {
    return await signIn(attempt);
  } catch (error) {
    const { code: reason } = toApiError(error as Error);
    const { issuer, subject } = attempt.claims ?? {};
    const personId = attempt.claims && (await findSubject(services, attempt.claims).catch(() => null));
    const details = attempt.refusal ? [attempt.refusal] : detailsOf(error);
    const code = details.filter((each) => /^[A-Za-z_]{1,60}$/.test(each)).join(' ') || undefined;
    request.log.warn(
      {
        reason,
        code,
        address: request.ip,
        personId: personId ?? undefined,
        issuer: issuer?.slice(0, 256),
        subject: subject?.slice(0, 256),
        keyId: attempt.keyId,
      },
      'sign-in failed',
    );
    instruments.signInFailures.inc({ reason });
    throw error;
  }
}

/** The invalid parameter, and the codes and claims that the causes name. */
function detailsOf(error: unknown): string[] {
  const { param, cause } = error as { param?: string | null; cause?: unknown };
  const details = param ? [param] : [];
  for (let at = cause, depth = 0; typeof at === 'object' && at !== null && depth < 6; depth++) {
    const { code, error: word, claim, cause: next } = at as Record<string, unknown>;
    for (const each of [code, word, claim]) {
      if (typeof each === 'string' && !details.includes(each)) details.push(each);
    }
    at = next;
  }
  return details;
}
