import { publishChannelKey, type Services, signRequest } from '@graft/service';
import { openFenced } from '@graft/service/testing';

const signing = 'p'.repeat(32);

/** What an API of the same installation would show to a worker of this id. */
export async function makeApiToken(
  services: Pick<Services, 'databaseUrl' | 'log'>,
  workerId: string,
): Promise<string> {
  const { database, close } = openFenced(services);
  await publishChannelKey({ sql: database.sql, secrets: { signing } });
  await close();
  return signRequest(signing, workerId);
}
