import { GraftError } from '../../errors.ts';
import { reasonOf } from '../hub-connection.ts';
import { packagedModels } from '../packaged-models.ts';
import type { HubAccess } from './publish-folder.ts';

/** The Hub's names of licences. */
const pattern = /^[a-z0-9][a-z0-9.+-]{0,60}$/;

/**
 * The licence of a base model by the Hub's name of it (`apache-2.0`), as the card of its repository has it. Null: the Hub does not know the model,
 * or it has no licence. Throws GraftError `hub_unavailable`.
 */
export async function readLicense(
  { endpoint, token, fetch }: Pick<HubAccess, 'endpoint' | 'token' | 'fetch'>,
  id: string,
  signal?: AbortSignal,
): Promise<string | null> {
  const packaged = packagedModels.find(({ hub }) => hub.id === id);
  if (packaged) return packaged.license;
  const { host } = new URL(endpoint);
  const unavailable = (why: string, cause?: unknown) =>
    new GraftError('hub_unavailable', `${host} ${why}: try again later.`, { fault: 'system', cause });
  const path = id.split('/').map(encodeURIComponent).join('/');
  try {
    const response = await fetch(`${endpoint}/api/models/${path}`, {
      headers: { authorization: `Bearer ${token}` },
      ...(signal && { signal }),
    });
    if (response.status >= 500 || response.status === 429) throw unavailable(`answered ${response.status}`);
    if (!response.ok) {
      await response.body?.cancel();
      return null;
    }
    const { cardData } = (await response.json()) as { cardData?: { license?: unknown } };
    const license = cardData?.license;
    return typeof license === 'string' && pattern.test(license) ? license : null;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof GraftError) throw error;
    throw unavailable(`cannot be reached (${reasonOf(error)})`, error);
  }
}
