import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { runExclusive } from '../database/run-exclusive.ts';
import type { ServiceEnv } from '../environment/env.ts';
import { createApiKey } from '../keys/create-api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { createTeam, findTeam } from './team-records.ts';

/** Name of the team that owns the first key. */
const firstTeam = 'default';

/**
 * Creates the team `default` and an admin key if there are no keys yet, and returns the full key, which cannot be shown again. Null if
 * there are keys. If `GRAFT_BOOTSTRAP_KEY` is set, creates that key unless it exists, regardless of other keys, and returns null, since the
 * operator knows it.
 */
export async function ensureBootstrapKey(
  services: Database & { secrets: Secrets; env: ServiceEnv },
): Promise<string | null> {
  const ensure = async () => {
    const given = services.env.bootstrapKey;
    // The id is the middle part of `graft_<keyid>_<secret>`.
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
    // The process that holds the lease may have died.
    await sleep(100);
  }
}
