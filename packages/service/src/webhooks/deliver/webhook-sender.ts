import type { Logger } from 'pino';
import { Webhook } from 'standardwebhooks';
import type { Database } from '../../database/database.ts';
import { createEgress, EgressError, postPinned, type SendingTimes } from '../../egress/post-pinned.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import { instruments } from '../../observe/instruments.ts';
import { type Closable, startClaiming, startLoops } from '../../repeat.ts';
import { type SealingKeys, unseal } from '../../secrets/sealed-secret.ts';
import type { Secrets } from '../../secrets/secrets.ts';
import { retrySeconds } from '../deliveries.ts';
import { webhookRules } from '../manage-endpoints.ts';
import { sealedForWebhook } from '../seal-secret.ts';
import { testEvent } from '../webhook.ts';
import {
  type AttemptFailure,
  type ClaimedDelivery,
  type ClaimLimits,
  claimDeliveries,
  disableEndpoint,
  disableFailing,
  failExpired,
  type RetryPauses,
  recordDelivered,
  recordFailure,
} from './delivery-work.ts';

type SendServices = Database & { env: ServiceEnv; log: Logger; secrets: Secrets };

/** Limits and intervals of sending. The defaults are for production; tests shorten them. */
export interface WebhookSettings extends RetryPauses, Omit<ClaimLimits, 'count'>, SendingTimes {
  /** Seconds of failures after which a delivery is failed and an endpoint disabled. */
  retrySeconds: number;
  sweepMs: number;
}

const defaults: WebhookSettings = {
  pollMs: 1_000,
  concurrency: 32,
  perEndpoint: 4,
  perTeam: 8,
  keptForOthers: 8,
  leaseSeconds: 60,
  connectMs: 5_000,
  wholeMs: 15_000,
  firstSeconds: 5,
  longestSeconds: 3_600,
  endpointSeconds: 60,
  retrySeconds,
  sweepMs: 10_000,
};

/**
 * Sends the events of the outbox to the endpoints of their teams, at least once. Any number of processes may run it: each claims
 * deliveries by leases in their rows. `close` claims nothing more and waits for running deliveries.
 */
export function startWebhookSender(
  services: SendServices,
  overrides: Partial<WebhookSettings> = {},
): Closable {
  const settings = { ...defaults, ...overrides };
  const { log } = services;
  const sending = startClaiming<ClaimedDelivery>({
    name: 'webhooks',
    ...settings,
    log,
    prepare: async (stopping) => {
      while ((await spreadEvents(services, settings)) > 0 && !stopping.aborted);
    },
    claim: (count) => claimDeliveries(services, { ...settings, count }),
    work: (delivery, { claimedAt }) => attempt(services, delivery, { settings, claimedAt }),
    onFault: (err, { teamId }) => log.warn({ err, teamId }, 'recording a webhook failed'),
  });
  const sweep = async () => {
    await failExpired(services);
    for (const id of await disableFailing(services, settings)) log.warn({ reason: id }, 'disabled a webhook');
  };
  const sweeping = startLoops(services, [
    { name: 'webhooks-sweep', seconds: settings.sweepMs / 1000, inTurns: true, work: sweep },
    {
      name: 'webhooks-prune',
      seconds: 3600,
      inTurns: true,
      work: (_, { stopping }) => pruneDeliveries(services, undefined, stopping),
    },
  ]);
  return { close: async () => void (await Promise.all([sending.close(), sweeping.close()])) };
}

async function attempt(
  services: SendServices,
  delivery: ClaimedDelivery,
  { settings, claimedAt }: { settings: WebhookSettings; claimedAt: number },
): Promise<void> {
  const failure = await post(services, delivery, settings, () => {
    // A process that was frozen may have lost its claim.
    const held = (performance.now() - claimedAt) / 1000 < settings.leaseSeconds / 2;
    if (!held) throw new EgressError('The sender was held up.');
  });
  if (typeof failure === 'number') {
    instruments.webhookAttempts.inc({ outcome: 'delivered' });
    return await recordDelivered(services, delivery, failure);
  }
  instruments.webhookAttempts.inc({ outcome: 'failed' });
  if (failure.status === 410) {
    // The Standard Webhooks specification asks senders to disable an endpoint that answers 410.
    const { teamId, endpointId: id } = delivery;
    await disableEndpoint(services, { teamId, id, reason: 'The receiver answered 410 Gone.' });
  }
  await recordFailure(services, delivery, failure, settings);
}

/** Returns the status of a successful answer, or the failure. */
async function post(
  services: SendServices,
  delivery: ClaimedDelivery,
  times: SendingTimes,
  checkHeld: () => void,
): Promise<number | AttemptFailure> {
  const message = await signedMessage(delivery, services.secrets);
  if (!message) {
    const reason = 'No secret of the endpoint can be read any more: rotate it.';
    return { status: null, reason, retryAfter: null };
  }
  const { teamId, endpointId: id } = delivery;
  const egress = createEgress(await webhookRules(services, teamId), times, async () => {
    checkHeld();
    // It may have been disabled since the claim.
    if ((await services.db.webhookEndpoint.count({ where: { teamId, id, disabledAt: null } })) === 0)
      throw new EgressError('The endpoint was disabled.');
  });
  try {
    const { status, retryAfter } = await postPinned(new URL(delivery.url), message, egress);
    if (status >= 200 && status < 300) return status;
    const redirect = status >= 300 && status < 400 ? ': redirects are not followed' : '';
    const seconds = /^\d{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) : null;
    return { status, reason: `The receiver answered ${status}${redirect}.`, retryAfter: seconds };
  } catch (error) {
    const reason = error instanceof EgressError ? error.message : 'Sending failed.';
    if (error instanceof EgressError)
      services.log.info({ teamId, reason: error.detail }, 'a webhook was not delivered');
    return { status: null, reason, retryAfter: null };
  }
}

/** OpenAI's body, with the headers of the Standard Webhooks specification. Null if no key is left that opens a secret of the endpoint. */
async function signedMessage(
  { teamId, endpointId, eventId, type, subject, eventAt, secrets }: ClaimedDelivery,
  keys: SealingKeys,
): Promise<{ headers: Record<string, string>; body: string } | null> {
  const body = JSON.stringify({
    id: eventId,
    object: 'event',
    created_at: Math.floor(eventAt.getTime() / 1000),
    type,
    data: { id: subject },
  });
  const now = new Date();
  const signatures: string[] = [];
  for (const { id, ...sealed } of secrets) {
    const secret = await unseal(keys, sealedForWebhook({ teamId, endpointId, id }), sealed);
    if (secret !== null) signatures.push(new Webhook(secret).sign(eventId, now, body));
  }
  if (signatures.length === 0) return null;
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Graft-Webhooks/1',
      'webhook-id': eventId,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': signatures.join(' '),
    },
  };
}

const batch = 200;

/**
 * Turns new events of the outbox into deliveries, one per endpoint that subscribes to the event; returns the number of events. A single
 * statement, so that a frozen or killed process leaves nothing half done. A concurrent call waits for the first, then processes the
 * rest: in the order of the outbox, so that an event never becomes a delivery before an earlier event of its subject.
 */
export async function spreadEvents(
  { sql }: Pick<Database, 'sql'>,
  options: { retrySeconds: number },
): Promise<number> {
  const { rows } = await sql.query<{ taken: number }>(
    `WITH news AS (
       SELECT id, team_id, topic, payload->>'id' AS subject, event_id, created_at
       FROM outbox WHERE delivered_at IS NULL ORDER BY id LIMIT ${batch} FOR UPDATE
     ), made AS (
       INSERT INTO webhook_deliveries (team_id, endpoint_id, outbox_id, event_id, type, subject, event_at, expires_at)
       SELECT news.team_id, endpoint.id, news.id, news.event_id, news.topic, news.subject, news.created_at,
              now() + make_interval(secs => $1)
       FROM news JOIN webhook_endpoints endpoint ON endpoint.team_id = news.team_id
         AND CASE news.topic WHEN $2 THEN endpoint.id = news.subject ELSE news.topic = ANY (endpoint.events) END
       WHERE endpoint.disabled_at IS NULL AND news.subject IS NOT NULL
       ON CONFLICT (endpoint_id, outbox_id) DO NOTHING
     ), spread AS (
       UPDATE outbox SET delivered_at = now() FROM news WHERE outbox.id = news.id RETURNING outbox.id
     )
     SELECT count(*)::int AS taken FROM spread`,
    [options.retrySeconds, testEvent],
  );
  return rows[0]!.taken;
}

/** Days that published events and ended deliveries are kept. */
const keptDays = { outbox: 7, deliveries: 30 };

interface PruneLimits {
  /** Maximum rows per statement, so that no statement holds locks for long. */
  batch: number;
  /** Maximum statements per pass and table: the next pass continues. */
  batches: number;
}

/** Deletes old rows of published events, ended deliveries and expired secrets. Returns the numbers of deleted rows. */
export async function pruneDeliveries(
  { sql }: Pick<Database, 'sql'>,
  { batch, batches }: PruneLimits = { batch: 1_000, batches: 50 },
  signal?: AbortSignal,
): Promise<{ outbox: number; deliveries: number; secrets: number }> {
  const prune = async (table: string, condition: string): Promise<number> => {
    let removed = 0;
    for (let round = 0; round < batches && !signal?.aborted; round += 1) {
      const { rowCount } = await sql.query(
        `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE ${condition} LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
      );
      removed += rowCount ?? 0;
      if ((rowCount ?? 0) < batch) break;
    }
    return removed;
  };
  const olderThan = (column: string, days: number) => `${column} < now() - interval '${days} days'`;
  return {
    outbox: await prune('outbox', olderThan('delivered_at', keptDays.outbox)),
    deliveries: await prune(
      'webhook_deliveries',
      `${olderThan('ended_at', keptDays.deliveries)} AND status <> 'pending'`,
    ),
    secrets: await prune('webhook_secrets', 'expires_at < now()'),
  };
}
