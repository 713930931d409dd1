import type { GraftClient } from '@graft/client';
import { UsageError } from '../errors.ts';
import { isOperatorKey, readProfile, sameUrl } from '../profile.ts';
import type { VerbOptions } from '../verb.ts';

export interface RemoteOptions extends VerbOptions {
  baseUrl?: string;
  apiKey?: string;
}

export type KeyKind = 'team' | 'operator';

/** The service of the flag or the environment; undefined where neither names one. */
export const chosenUrl = ({ baseUrl }: RemoteOptions): string | undefined =>
  baseUrl ?? (process.env.GRAFT_BASE_URL || undefined);

/** Default URL of `npm start`. */
export const DEFAULT_BASE_URL = 'http://127.0.0.1:8000/v1';

/**
 * Creates a client. Flags take precedence over the environment, and the environment over the saved profile. A saved key is only sent
 * to the base URL it was saved for. For operator verbs, GRAFT_OPERATOR_KEY and a saved operator key take precedence over a team key.
 */
export async function connect(options: RemoteOptions, as: KeyKind = 'team'): Promise<GraftClient> {
  const { GRAFT_API_KEY: teamKey, GRAFT_OPERATOR_KEY: operatorKey } = process.env;
  const url = chosenUrl(options);
  const key =
    options.apiKey ??
    ((as === 'team' ? teamKey : operatorKey || (isOperatorKey(teamKey ?? '') && teamKey)) || undefined);
  const profile = url === undefined || key === undefined ? readProfile() : null;
  const baseUrl = url ?? profile?.baseUrl ?? DEFAULT_BASE_URL;
  const saved = profile !== null && sameUrl(profile.baseUrl, baseUrl) ? profile : null;
  const apiKey =
    key ??
    (as === 'team'
      ? (saved?.apiKey ?? saved?.operatorKey)
      : (saved?.operatorKey ?? (teamKey || saved?.apiKey)));
  if (apiKey === undefined) {
    const elsewhere = profile === null ? '' : ` (the saved key is for ${profile.baseUrl})`;
    throw new UsageError(
      as === 'team'
        ? `No API key for ${baseUrl}${elsewhere}. Set GRAFT_API_KEY, pass --api-key, or run \`graft login\`. On the service's machine, \`graft admin bootstrap\` and then \`graft admin keys create --team TEAM\` create a key.`
        : `No operator key for ${baseUrl}${elsewhere}. Set GRAFT_OPERATOR_KEY, pass --api-key, or run \`graft login\`. \`graft admin bootstrap\` on the service's machine creates the first one.`,
    );
  }
  return await openClient(baseUrl, apiKey);
}

/** Throws UsageError for a URL or a key that cannot be one. */
export async function openClient(baseUrl: string, apiKey: string): Promise<GraftClient> {
  const { GraftClient } = await import('@graft/client');
  try {
    return new GraftClient({ baseUrl, apiKey, maxRetries: 4 });
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  }
}
