import { GraftError } from '@graft/peft-core/config';
import { hubEndpoint } from '@graft/peft-core/files';
import { defaultUrls, type IntegrationType } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inRowTransaction, inTransaction } from '../database/in-transaction.ts';
import type { EgressRules } from '../egress/address-rules.ts';
import { teamRules } from '../egress/team-rules.ts';
import { parseTeamUrl } from '../egress/team-url.ts';
import { newId } from '../ids.ts';
import { holdExitMaker, makerOf } from '../keys/exits.ts';
import { type Sealed, type SealedFor, type SealingKeys, seal } from '../secrets/sealed-secret.ts';
import { type Integration, integrationOf } from './integration.ts';

type Context = Database & {
  secrets: SealingKeys;
  env: { integrationAllow: string[]; hfEndpoint: string | undefined };
};

/** Omitted fields keep their value, or get the default; null removes the value. */
interface IntegrationChanges {
  url?: string | undefined;
  username?: string | null | undefined;
  secret?: string | null | undefined;
}

/** Rules for the addresses that a team's servers may have. */
export async function integrationRules(
  { db, env }: Pick<Database, 'db'> & { env: { integrationAllow: string[] } },
  teamId: string,
): Promise<EgressRules> {
  const allowed = { entries: env.integrationAllow, setting: 'GRAFT_INTEGRATION_ALLOW' };
  return await teamRules({ db }, teamId, allowed);
}

/** Seals by team and type, which identify a row like its id: of two concurrent creations, the secret of either can be opened. */
export function sealedForIntegration({ teamId, type }: { teamId: string; type: string }): SealedFor {
  return { purpose: 'secrets of integrations, 1', row: [teamId, type] };
}

/**
 * Creates or changes a team's integration of this type. Jobs whose metrics the service did not accept are retried immediately. A secret
 * is never sent to another server: a change of the URL's origin requires a new secret. A URL or a secret also enables it. Throws GraftError `invalid_integration`.
 */
export async function putIntegration(
  context: Context,
  teamId: string,
  type: IntegrationType,
  { url: wanted, username, secret }: IntegrationChanges,
  by: Actor,
): Promise<Integration> {
  const { env } = context;
  const given = wanted === undefined ? null : parseUrl(wanted, type, await integrationRules(context, teamId));
  // The operator decides which Hub is used; a token that was given for another one must be given again.
  const hub = type === 'huggingface' ? hubEndpoint(env.hfEndpoint) : null;
  if (hub !== null && given !== null && given !== hub)
    throw refusal(
      'url',
      `the operator of this server has set the Hub (HF_ENDPOINT) to ${hub}; leave url out`,
    );
  return await inRowTransaction(context, `integration ${teamId} ${type}`, async (tx) => {
    await holdExitMaker(tx, teamId, by);
    const before = await tx.integration.findFirst({ where: { teamId, type } });
    const url = hub ?? given ?? before?.url ?? (type === 'huggingface' ? null : defaultUrls[type]);
    if (url === null) throw refusal('url', `say where your ${type} server is`);
    const moves = before !== null && new URL(before.url).origin !== new URL(url).origin;
    if (moves && before.sealed && secret === undefined)
      throw refusal('secret', 'the one that is there is for another server: give one for this, or null');
    const id = before?.id ?? newId('integration');
    const stored: Sealed | { sealed: null } | null =
      secret === undefined
        ? null
        : secret === null
          ? { sealed: null }
          : seal(context.secrets, sealedForIntegration({ teamId, type }), secret);
    const hasSecret = (stored ?? before)?.sealed != null;
    const user = username === undefined ? (before?.username ?? null) : username;
    checkSecret(type, user, hasSecret);
    const enabled = { disabledAt: null, disabledReason: null };
    // Who sets its address or secret is responsible for it: revoking that key disables it.
    const isSet = given !== null || secret !== undefined;
    const values = {
      url,
      username: user,
      ...stored,
      ...(isSet && { ...makerOf(by), ...enabled }),
      updatedAt: new Date(),
    };
    const row = await tx.integration.upsert({
      where: { teamId_type: { teamId, type } },
      create: { id, teamId, type, ...values },
      update: values,
    });
    // A time in the past is due by any clock.
    if (hub !== null)
      await tx.publication.updateMany({
        where: { teamId, status: 'queued', failingSince: { not: null } },
        data: { nextAttemptAt: new Date(0) },
      });
    await tx.jobIntegration.updateMany({
      where: { teamId, type, status: 'active', failures: { gt: 0 } },
      data: { nextAttemptAt: new Date(0), refusals: 0 },
    });
    const detail = { type, host: new URL(url).host, secret: secret === undefined ? 'kept' : 'given' };
    await insertAudit(tx, teamId, by, { action: 'integration.set', target: id, detail });
    return integrationOf(row);
  });
}

function parseUrl(text: string, type: IntegrationType, rules: EgressRules): string {
  const url = parseTeamUrl(text, rules, {
    code: 'invalid_integration',
    noPassword: 'give them as username and secret',
  });
  if (url.search)
    throw refusal(
      'url',
      `must hold no query (?…); ${type === 'trackio' ? 'give its write_token as secret' : 'give a token as secret'}`,
    );
  return url.href.replace(/\/+$/, '');
}

function checkSecret(type: IntegrationType, username: string | null, hasSecret: boolean): void {
  if (type === 'mlflow') {
    if (username !== null && !hasSecret) throw refusal('secret', 'a username needs a password');
    return;
  }
  if (username !== null) throw refusal('username', `${type} knows none: give its key or token as secret`);
  if (!hasSecret) throw refusal('secret', `give ${secretNames[type]}`);
}

const secretNames: Record<Exclude<IntegrationType, 'mlflow'>, string> = {
  wandb: 'your API key of Weights & Biases',
  trackio: 'the write token of the trackio server',
  huggingface: 'a token of the Hub that may write to your repositories',
};

function refusal(param: string, why: string): GraftError {
  return new GraftError('invalid_integration', `${param}: ${why}.`, { param });
}

/** Lists a team's integrations, at most one of each type. */
export async function listIntegrations({ db }: Database, teamId: string): Promise<Integration[]> {
  const rows = await db.integration.findMany({ where: { teamId }, orderBy: { type: 'asc' } });
  return rows.map(integrationOf);
}

export async function getIntegration(
  { db }: Database,
  teamId: string,
  type: string,
): Promise<Integration | null> {
  const row = await db.integration.findFirst({ where: { teamId, type } });
  return row && integrationOf(row);
}

/** Deletes an integration and its secret. Jobs that still send to it stop, and log an event. Null if the team has none of this type. */
export async function deleteIntegration(
  db: Database,
  teamId: string,
  type: string,
  by: Actor,
): Promise<string | null> {
  return await inTransaction(db, async (tx) => {
    const row = await tx.integration.findFirst({ where: { teamId, type }, select: { id: true } });
    if (!row) return null;
    await tx.integration.deleteMany({ where: { teamId, id: row.id } });
    await insertAudit(tx, teamId, by, { action: 'integration.delete', target: row.id, detail: { type } });
    return row.id;
  });
}
