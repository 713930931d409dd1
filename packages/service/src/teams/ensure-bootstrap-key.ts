import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { runExclusive } from '../database/run-exclusive.ts';
import type { ServiceEnv } from '../environment/env.ts';
import { createApiKey } from '../keys/create-api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { createTeam, findTeam } from './team-records.ts';

/** The team that the first key belongs to. */
const firstTeam = 'default';

/**
 * Makes the team `default` and an admin key where there is no key yet, and answers the whole key, to be shown this once.
 * Null when there are keys. With `GRAFT_BOOTSTRAP_KEY` that key is made unless it exists, whatever other keys there are;
 * the answer is null, since whoever set it knows it.
 */
export async function ensureBootstrapKey(
  services: Database & { secrets: Secrets; env: ServiceEnv },
): Promise<string | null> {
  const ensure = async () => {
    const given = services.env.bootstrapKey;
    // Its id is the middle part of `graft_<keyid>_<secret>`.
    const id = given?.split('_')[1];
    const known = await services.db.apiKey.findFirst({ where: id === undefined ? {} : { id } });
    if (known) return null;
    const team = (await findTeam(services, firstTeam)) ?? (await createTeam(services, { name: firstTeam }));
    const { key } = await createApiKey(services, team.id, { name: 'bootstrap', role: 'admin', key: given });
    return given ? null : key;
  };
  for (;;) {
    const outcome = await runExclusive(services, 'bootstrap-key', ensure);
    if (outcome.ran) return outcome.result;
    // Whose turn it is may have died in it.
    await sleep(100);
  }
}
