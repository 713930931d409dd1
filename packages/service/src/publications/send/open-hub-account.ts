import { GraftError } from '@graft/peft-core/config';
import { type HubAccess, hubEndpoint } from '@graft/peft-core/files';
import type { Database } from '../../database/database.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import { sealedForIntegration } from '../../integrations/manage-integrations.ts';
import { unseal } from '../../secrets/sealed-secret.ts';
import type { Secrets } from '../../secrets/secrets.ts';

type Context = Pick<Database, 'db'> & { env: Pick<ServiceEnv, 'hfEndpoint'>; secrets: Secrets };

/** What messages call a team's token. */
const tokenName = 'The token of the integration huggingface';

/**
 * Opens a team's token of the Hub, which goes only to the Hub that it was given for. Throws GraftError `hub_token_missing`,
 * `secrets_outdated`.
 */
export async function openHubAccount(
  { db, env, secrets }: Context,
  teamId: string,
  fetch: HubAccess['fetch'],
): Promise<HubAccess> {
  const refusal = (why: string) => new GraftError('hub_token_missing', why, { param: null });
  const row = await db.integration.findFirst({ where: { teamId, type: 'huggingface' } });
  if (!row?.sealed)
    throw refusal(
      'This team has no token of the Hub: an admin of the team sets it as the integration huggingface.',
    );
  if (row.disabledAt) throw refusal(`The integration huggingface was disabled. ${row.disabledReason}`);
  const endpoint = hubEndpoint(env.hfEndpoint);
  if (row.url !== endpoint)
    throw refusal(
      `${tokenName} was given for ${row.url}, and the operator has set the Hub to ${endpoint}: set the token again.`,
    );
  const token = await unseal(secrets, sealedForIntegration(row), {
    sealed: row.sealed,
    sealedBy: row.sealedBy,
  });
  if (token === null) throw refusal(`${tokenName} cannot be read any more: set it again.`);
  return { endpoint, token, tokenName, fetch };
}
