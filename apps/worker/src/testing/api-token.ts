import { publishChannelKeys, signRequest } from '@graft/service/channel';
import type { Services } from '@graft/service/services';
import { openFenced } from '@graft/service/testing';

const pepper = { versions: [{ version: 1, secret: 'p'.repeat(32) }] };

/** The token that an API of the same installation sends to the worker with this id. */
export async function makeApiToken(
  services: Pick<Services, 'databaseUrl' | 'log'>,
  workerId: string,
): Promise<string> {
  const { database, close } = openFenced(services);
  await publishChannelKeys({ sql: database.sql, secrets: { pepper } });
  await close();
  return signRequest(pepper, workerId);
}
