import type { GraftClient } from '@graft/client';
import { UsageError } from '../errors.ts';
import { readProfile } from '../profile.ts';
import type { RemoteOptions } from '../verb.ts';

/** http://127.0.0.1:8000/v1, where `npm start` listens. */
export const DEFAULT_BASE_URL = 'http://127.0.0.1:8000/v1';

/** Takes flags first, then the environment, then the saved profile. A saved key is sent only to the base URL it was saved for. */
export async function connect(options: RemoteOptions): Promise<GraftClient> {
  const { GraftClient } = await import('@graft/client');
  const chosenUrl = options.baseUrl ?? (process.env.GRAFT_BASE_URL || undefined);
  const chosenKey = options.apiKey ?? (process.env.GRAFT_API_KEY || undefined);
  const profile = chosenUrl === undefined || chosenKey === undefined ? readProfile() : null;
  const baseUrl = chosenUrl ?? profile?.baseUrl ?? DEFAULT_BASE_URL;
  const savedKey = profile !== null && sameUrl(profile.baseUrl, baseUrl) ? profile.apiKey : undefined;
  const apiKey = chosenKey ?? savedKey;
  if (apiKey === undefined) {
    const saved = profile === null ? '' : ` (the saved key is for ${profile.baseUrl})`;
    throw new UsageError(
      `No API key for ${baseUrl}${saved}. Set GRAFT_API_KEY, pass --api-key, or run \`graft login\`.`,
    );
  }
  try {
    return new GraftClient({ baseUrl, apiKey, maxRetries: 4 });
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

const sameUrl = (a: string, b: string): boolean => a.replace(/\/+$/, '') === b.replace(/\/+$/, '');
