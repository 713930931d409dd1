import type { GraftClient } from '@graft/client';
import { UsageError } from '../errors.ts';
import { isOperatorKey, readProfile, sameUrl } from '../profile.ts';
import type { RemoteOptions } from '../verb.ts';

/** Default address of `npm start`. */
export const DEFAULT_BASE_URL = 'http://127.0.0.1:8000/v1';

/**
 * Creates a client. Flags take precedence over the environment, and the environment over the saved profile. A saved key is only sent
 * to the base URL it was saved for. For operator verbs, GRAFT_OPERATOR_KEY and a saved operator key take precedence over a team key.
 */
export async function connect(
  options: RemoteOptions,
  as: 'team' | 'operator' = 'team',
): Promise<GraftClient> {
  const { GraftClient } = await import('@graft/client');
  const { GRAFT_API_KEY: teamKey, GRAFT_OPERATOR_KEY: operatorKey } = process.env;
  const chosenUrl = options.baseUrl ?? (process.env.GRAFT_BASE_URL || undefined);
  const chosenKey =
    options.apiKey ??
    ((as === 'team' ? teamKey : operatorKey || (isOperatorKey(teamKey ?? '') && teamKey)) || undefined);
  const profile = chosenUrl === undefined || chosenKey === undefined ? readProfile() : null;
  const baseUrl = chosenUrl ?? profile?.baseUrl ?? DEFAULT_BASE_URL;
  const saved = profile !== null && sameUrl(profile.baseUrl, baseUrl) ? profile : null;
  const apiKey =
    chosenKey ??
    (as === 'team'
      ? (saved?.apiKey ?? saved?.operatorKey)
      : (saved?.operatorKey ?? (teamKey || saved?.apiKey)));
  if (apiKey === undefined) {
    const elsewhere = profile === null ? '' : ` (the saved key is for ${profile.baseUrl})`;
    throw new UsageError(
      as === 'team'
        ? `No API key for ${baseUrl}${elsewhere}. Set GRAFT_API_KEY, pass --api-key, or run \`graft login\`.`
        : `No operator key for ${baseUrl}${elsewhere}. Set GRAFT_OPERATOR_KEY, pass --api-key, or run \`graft login\`. \`graft admin bootstrap\` on the service's machine creates the first one.`,
    );
  }
  try {
    return new GraftClient({ baseUrl, apiKey, maxRetries: 4 });
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}
