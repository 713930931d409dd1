import { GraftError } from '@graft/peft-core/config';
import { maxEndpoints, type WebhookEvent } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inRowTransaction, inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import { tryLockName } from '../database/wait-for-row.ts';
import type { EgressRules } from '../egress/address-rules.ts';
import { teamRules } from '../egress/team-rules.ts';
import { parseWebhookUrl } from '../egress/team-url.ts';
import { newId } from '../ids.ts';
import { holdExitMaker, makerOf } from '../keys/exits.ts';
import { type SealingKeys, seal } from '../secrets/sealed-secret.ts';
import { newWebhookSecret, sealedForWebhook } from './seal-secret.ts';
import { endpointOf, maxSecrets, type WebhookEndpoint } from './webhook.ts';

type Context = Database & { secrets: SealingKeys; env: { webhookAllow: string[] } };

/** The endpoint with its new secret, which is shown only this once. */
export interface WithSecret {
  endpoint: WebhookEndpoint;
  secret: string;
}

/** Rules for the addresses that a team's receivers may have. */
export async function webhookRules(
  { db, env }: Pick<Database, 'db'> & { env: { webhookAllow: string[] } },
  teamId: string,
): Promise<EgressRules> {
  return await teamRules({ db }, teamId, { entries: env.webhookAllow, setting: 'GRAFT_WEBHOOK_ALLOW' });
}

/** Creates an endpoint. Throws GraftError `invalid_webhook_url`, `too_many_webhooks`. */
export async function createWebhook(
  context: Context,
  teamId: string,
  input: { url: string; description: string | null; events: WebhookEvent[] },
  by: Actor,
): Promise<WithSecret> {
  const url = parseWebhookUrl(input.url, await webhookRules(context, teamId)).href;
  return await inRowTransaction(context, `webhooks of ${teamId}`, async (tx) => {
    await holdExitMaker(tx, teamId, by);
    // The second of two concurrent calls counts the endpoint of the first.
    await tryLockName(tx, `graft:webhooks:${teamId}`);
    if ((await tx.webhookEndpoint.count({ where: { teamId } })) >= maxEndpoints) {
      throw new GraftError(
        'too_many_webhooks',
        `A team has at most ${maxEndpoints} webhook endpoints: delete one first.`,
        { param: null },
      );
    }
    const events = [...new Set(input.events)];
    const row = await tx.webhookEndpoint.create({
      data: { id: newId('webhook'), teamId, url, description: input.description, events, ...makerOf(by) },
    });
    const secret = await addSecret(tx, context, row);
    await insertAudit(tx, teamId, by, {
      action: 'webhook.create',
      target: row.id,
      detail: { host: new URL(url).host, events },
    });
    return { endpoint: endpointOf(row), secret };
  });
}

async function addSecret(
  tx: Transaction,
  { secrets }: Context,
  { teamId, id: endpointId }: { teamId: string; id: string },
): Promise<string> {
  const owner = { teamId, endpointId, id: newId('webhookSecret') };
  const secret = newWebhookSecret();
  await tx.webhookSecret.create({
    data: { ...owner, ...seal(secrets, sealedForWebhook(owner), secret) },
    select: { id: true },
  });
  return secret;
}

/** Lists endpoints, newest first. Throws GraftError `invalid_cursor`. */
export async function listWebhooks(
  { db }: Database,
  teamId: string,
  options: PageOptions,
): Promise<Page<WebhookEndpoint>> {
  return await listRows(db.webhookEndpoint, options, { where: { teamId } }, endpointOf);
}

export async function getWebhook(
  { db }: Database,
  teamId: string,
  id: string,
): Promise<WebhookEndpoint | null> {
  const row = await db.webhookEndpoint.findFirst({ where: { teamId, id } });
  return row && endpointOf(row);
}

/**
 * Changes an endpoint; absent fields keep their values. Enabling it, or another URL, clears its failures and sends pending deliveries
 * immediately. Null if the team has no such endpoint. Throws GraftError `invalid_webhook_url`.
 */
export async function updateWebhook(
  context: Context,
  teamId: string,
  id: string,
  changes: {
    url?: string | undefined;
    description?: string | null | undefined;
    events?: WebhookEvent[] | undefined;
    enabled?: boolean | undefined;
  },
  by: Actor,
): Promise<WebhookEndpoint | null> {
  const { enabled, ...fields } = changes;
  const url =
    fields.url === undefined
      ? undefined
      : parseWebhookUrl(fields.url, await webhookRules(context, teamId)).href;
  return await inTransaction(context, async (tx) => {
    await holdExitMaker(tx, teamId, by);
    const before = await lockEndpoint(tx, teamId, id);
    if (!before) return null;
    const isFresh = (url !== undefined && url !== before.url) || (enabled === true && before.disabledAt);
    const row = await tx.webhookEndpoint.update({
      where: { teamId_id: { teamId, id } },
      data: {
        // Who sets the URL or enables it is responsible for it: revoking that key ends the endpoint.
        ...((url !== undefined || (enabled === true && before.disabledAt)) && makerOf(by)),
        ...(url !== undefined && { url }),
        ...(fields.description !== undefined && { description: fields.description }),
        ...(fields.events && { events: [...new Set(fields.events)] }),
        ...(enabled === true && { disabledAt: null, disabledReason: null }),
        ...(enabled === false &&
          !before.disabledAt && { disabledAt: before.now, disabledReason: 'Disabled by the team.' }),
        ...(isFresh && { failures: 0, failingSince: null, notBefore: null }),
      },
    });
    if (isFresh) {
      await tx.webhookDelivery.updateMany({
        where: { teamId, endpointId: id, status: 'pending' },
        data: { nextAttemptAt: before.now, failures: 0 },
      });
    }
    const detail = {
      ...(url !== undefined && { host: new URL(url).host }),
      ...(fields.events && { events: row.events }),
      ...(enabled !== undefined && { enabled }),
    };
    await insertAudit(tx, teamId, by, { action: 'webhook.update', target: id, detail });
    return endpointOf(row);
  });
}

/** Deletes an endpoint with its secrets and deliveries. False if the team has no such endpoint. */
export async function deleteWebhook(db: Database, teamId: string, id: string, by: Actor): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { count } = await tx.webhookEndpoint.deleteMany({ where: { teamId, id } });
    if (count === 0) return false;
    await insertAudit(tx, teamId, by, { action: 'webhook.delete', target: id });
    return true;
  });
}

/**
 * Creates a new secret; the previous ones also sign for at most `overlapSeconds`. Null if the team has no such endpoint. Throws
 * GraftError `too_many_webhook_secrets`.
 */
export async function rotateWebhookSecret(
  context: Context,
  teamId: string,
  id: string,
  { overlapSeconds }: { overlapSeconds: number },
  by: Actor,
): Promise<WithSecret | null> {
  return await inTransaction(context, async (tx) => {
    const locked = await lockEndpoint(tx, teamId, id);
    if (!locked) return null;
    const { now, ...row } = locked;
    const owned = { teamId, endpointId: id };
    const expiresAt = new Date(now.getTime() + overlapSeconds * 1000);
    await tx.webhookSecret.updateMany({
      where: { ...owned, OR: [{ expiresAt: null }, { expiresAt: { gt: expiresAt } }] },
      data: { expiresAt },
    });
    await tx.webhookSecret.deleteMany({ where: { ...owned, expiresAt: { lte: now } } });
    // A client that repeats a rotation after a lost answer must not invalidate the secret that its receiver has.
    const old = await tx.webhookSecret.findMany({
      where: owned,
      orderBy: { expiresAt: 'asc' },
      take: maxSecrets,
    });
    if (old.length >= maxSecrets) {
      throw new GraftError(
        'too_many_webhook_secrets',
        `${maxSecrets} secrets sign already: rotate with overlap_seconds 0, or after ${old[0]!.expiresAt?.toISOString()}.`,
        { param: 'overlap_seconds' },
      );
    }
    const secret = await addSecret(tx, context, row);
    const detail = { overlap_seconds: overlapSeconds };
    await insertAudit(tx, teamId, by, { action: 'webhook.rotate_secret', target: id, detail });
    return { endpoint: endpointOf(row), secret };
  });
}

/** Locks the endpoint's row until the transaction ends; returns it with the time of Postgres. */
async function lockEndpoint(tx: Transaction, teamId: string, id: string) {
  const [locked] = await tx.$queryRaw<{ now: Date }[]>`
    SELECT now() AS now FROM webhook_endpoints WHERE team_id = ${teamId} AND id = ${id} FOR UPDATE`;
  const row = locked && (await tx.webhookEndpoint.findFirst({ where: { teamId, id } }));
  return row ? { ...row, now: locked.now } : null;
}
