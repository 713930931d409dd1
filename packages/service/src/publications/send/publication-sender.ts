import { GraftError } from '@graft/peft-core/config';
import { type HubAccess, hubEndpoint, type PublishedFolder, publishFolder } from '@graft/peft-core/files';
import type { Logger } from 'pino';
import type { AdapterVersion } from '../../adapters/adapter.ts';
import { findVersionById } from '../../adapters/read-adapters.ts';
import { type BaseModelCatalogue, checkPermitted } from '../../base-models/catalogue.ts';
import type { Database } from '../../database/database.ts';
import { createPinnedFetch } from '../../egress/pinned-fetch.ts';
import { createEgress, type SendingTimes } from '../../egress/post-pinned.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import type { AdapterExport } from '../../exports/export.ts';
import { getExport } from '../../exports/read-exports.ts';
import { integrationRules, sealedForIntegration } from '../../integrations/manage-integrations.ts';
import { type Closable, startClaiming } from '../../repeat.ts';
import { unseal } from '../../secrets/sealed-secret.ts';
import type { Secrets } from '../../secrets/secrets.ts';
import type { Stores } from '../../storage/stores.ts';
import { keepLease } from '../../work/keep-lease.ts';
import { releaseWork } from '../../work/leased-work.ts';
import type { PublicationError } from '../publication.ts';
import { checkPublishable, getPublishingRules } from '../publishing-rules.ts';
import { type CardSource, writeCard } from '../write-card.ts';
import {
  type ClaimedPublication,
  claimPublications,
  type GivingUpTimes,
  keepCard,
  publicationWork,
  recordFailure,
  recordPublished,
  recordRefused,
  renewPublication,
} from './publication-work.ts';

type Context = Pick<Database, 'db'> & { env: Pick<ServiceEnv, 'hfEndpoint'>; secrets: Secrets };

const tokenName = 'The token of the integration huggingface';

/**
 * Opens a team's token of the Hub, which goes only to the Hub that it was given for. Throws GraftError `hub_token_missing`,
 * `secrets_outdated`.
 */
async function openHubAccount(
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

export type PublishServices = Database &
  Pick<Stores, 'artifacts' | 'exports'> & {
    env: ServiceEnv;
    log: Logger;
    secrets: Secrets;
    baseModels: BaseModelCatalogue;
  };

/** Limits and intervals of publishing. The defaults are for production; tests shorten them. */
export interface PublicationTimes extends GivingUpTimes, SendingTimes {
  leaseSeconds: number;
  /** Files of more bytes than this are large. */
  largeBytes: number;
  /** Maximum number of publications with large files that this process sends concurrently; the other slots are for smaller ones. */
  largeConcurrency: number;
  /** Milliseconds without a byte in either direction after which a connection ends. */
  idleMs: number;
}

const defaults: PublicationTimes = {
  pollMs: 2_000,
  concurrency: 32,
  largeBytes: 1 << 30,
  largeConcurrency: 16,
  leaseSeconds: 60,
  connectMs: 10_000,
  wholeMs: 60_000,
  idleMs: 60_000,
  firstSeconds: 5,
  longestSeconds: 600,
  giveUpSeconds: 24 * 3600,
};

/** Faults of GraftErrors after which a later attempt may succeed. */
const temporary = new Set([
  'hub_unavailable',
  'folder_unreadable',
  'storage_away',
  'storage_full',
  'secrets_outdated',
]);

/**
 * Publishes on the Hugging Face Hub, one publication at a time for each team. Postgres has the state: any API process continues where one
 * stopped, with files that have arrived already, and repeats no commit. `close` interrupts uploads, which are then due at once.
 */
export function startPublicationSender(
  services: PublishServices,
  overrides: Partial<PublicationTimes> = {},
): Closable {
  const times = { ...defaults, ...overrides };
  const { log } = services;
  let large = 0;
  return startClaiming<ClaimedPublication>({
    name: 'publications',
    ...times,
    log,
    claim: (count) =>
      claimPublications(services, { ...times, count, largeCount: times.largeConcurrency - large }),
    work: async (claimed, run) => {
      if (claimed.isLarge) large++;
      try {
        await send(services, claimed, { times, ...run });
      } finally {
        if (claimed.isLarge) large--;
      }
    },
    onFault: (err, { teamId, id }) => log.warn({ err, teamId, publicationId: id }, 'publishing failed'),
  });
}

interface Sending {
  times: PublicationTimes;
  /** `performance.now()` before the claim. */
  claimedAt: number;
  closing: AbortSignal;
}

async function send(services: PublishServices, claimed: ClaimedPublication, sending: Sending): Promise<void> {
  const { times, closing } = sending;
  const lease = keepLease(
    { claimedAt: sending.claimedAt, leaseSeconds: times.leaseSeconds },
    async () => await renewPublication(services, claimed, times.leaseSeconds),
    (err) => services.log.warn({ err, publicationId: claimed.id }, 'a lease could not be renewed'),
  );
  const signal = AbortSignal.any([closing, lease.lost]);
  try {
    const { confirm } = lease;
    const rules = await integrationRules(services, claimed.teamId);
    const fetch = createPinnedFetch(createEgress(rules, times, confirm), times);
    const published = await publish(services, claimed, { fetch, signal, confirm });
    await recordPublished(services, claimed, published);
  } catch (error) {
    if (lease.lost.aborted) return;
    if (closing.aborted) return await releaseWork(services, publicationWork, claimed);
    const { teamId, id, repository } = claimed;
    const fault = faultOf(error);
    const of = { teamId, publicationId: id, repository, reason: fault.code };
    if (error instanceof GraftError && !temporary.has(error.code)) {
      services.log.warn(of, 'publishing was refused');
      return await recordRefused(services, claimed, fault);
    }
    if (!(error instanceof GraftError)) services.log.error({ ...of, err: error }, 'publishing failed');
    const outcome = await recordFailure(services, claimed, fault, times);
    services.log.warn(of, `publishing failed: ${outcome}`);
  } finally {
    lease.end();
  }
}

async function publish(
  services: PublishServices,
  claimed: ClaimedPublication,
  {
    fetch,
    signal,
    confirm,
  }: { fetch: HubAccess['fetch']; signal: AbortSignal; confirm: () => Promise<void> },
): Promise<PublishedFolder> {
  // An admin may have changed the rules since the request.
  checkPublishable(await getPublishingRules(services, claimed.teamId), claimed);
  const hub = await openHubAccount(services, claimed.teamId, fetch);
  const { version, made, folder } = await openSource(services, claimed);
  const texts = await cardOf(services, claimed, { version, made, folder, hub }, signal);
  const { repository, isPublic, format } = claimed;
  signal.throwIfAborted();
  try {
    return await publishFolder(folder, {
      repository,
      isPublic,
      title: `Add ${version.adapterName}, version ${version.number}${format === null ? '' : `, as ${format}`}`,
      texts,
      hub,
      attempts: 1,
      signal,
      confirm,
    });
  } catch (error) {
    // The folder was verified: the cache has dropped it since, or the disk fails. Its path is nothing for teams.
    if (error instanceof GraftError && error.code === 'invalid_folder')
      throw new GraftError('folder_unreadable', 'The files cannot be read from the storage of this server.', {
        fault: 'environment',
        cause: error,
      });
    throw error;
  }
}

/**
 * The model card as README.md; empty if the files have a README.md of the user's, or none is wanted. All attempts publish the same text, or an
 * attempt after a lost answer would find the repository changed, and make a second commit.
 */
async function cardOf(
  services: PublishServices,
  claimed: ClaimedPublication,
  source: CardSource,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  if (!claimed.card) return new Map();
  const text =
    claimed.cardText ?? (await writeCard(services, source, { repository: claimed.repository, signal }));
  if (text !== claimed.cardText && text !== null) await keepCard(services, claimed, text);
  return text === null ? new Map() : new Map([['README.md', text]]);
}

/**
 * The files on this machine. Throws GraftError `adapter_version_not_found`, `export_not_found`, `export_not_ready`, `model_not_permitted`, and
 * the errors of `localFolder`.
 */
async function openSource(
  services: PublishServices,
  { teamId, versionId, exportId }: ClaimedPublication,
): Promise<{ version: AdapterVersion; made: AdapterExport | null; folder: string }> {
  const version = await findVersionById(services, teamId, versionId);
  if (!version || version.deletedAt !== null)
    throw new GraftError('adapter_version_not_found', 'The version was deleted.', { param: 'version' });
  if (exportId === null)
    return { version, made: null, folder: await services.artifacts.localFolder(version.artifact) };
  const made = await getExport(services, teamId, { versionId, id: exportId });
  if (!made?.stored)
    throw new GraftError(
      'export_not_found',
      `The export ${exportId} was deleted or has expired: make it again.`,
      { param: 'export_id' },
    );
  await checkPermitted(services.baseModels, version);
  try {
    return { version, made, folder: await services.exports.localFolder(made.stored.artifact) };
  } catch (error) {
    const isGone = (await getExport(services, teamId, { versionId, id: exportId })) === null;
    if (!isGone) throw error;
    throw new GraftError('export_not_found', `The export ${exportId} was deleted: make it again.`, {
      param: 'export_id',
      cause: error,
    });
  }
}

function faultOf(error: unknown): PublicationError {
  if (error instanceof GraftError)
    return { code: error.code, message: error.message, param: error.param ?? null };
  return {
    code: 'publication_failed',
    message: 'Publishing failed because of a fault in the service; it is tried again.',
    param: null,
  };
}
