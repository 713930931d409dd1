/**
 * Vocabulary
 * - exit: what sends a team's data to others' servers until somebody ends it: a webhook endpoint, an integration, a deploy target, or a
 *   publication that has not ended.
 * - maker: the key, or the person who was signed in without a key, that made an exit or last decided where it leads.
 */

import { GraftError } from '@graft/peft-core/config';
import type { ExitKind } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { json, type Transaction } from '../database/database.ts';
import { holdMaker } from './hold-maker.ts';

/** The columns of a new exit that name its maker. */
export interface ExitMaker {
  /** A person, or a key that belongs to nobody. Null: an earlier version of Graft did not record it. */
  createdBy: string | null;
  /** The key; null: the person had none, or it is not known. */
  madeByKey: string | null;
}

export interface Exit extends ExitMaker {
  id: string;
  kind: ExitKind;
  /** Where it leads, or its name. */
  name: string;
  /** False: it was disabled, and sends nothing. */
  isEnabled: boolean;
  createdAt: Date;
}

const openPublication = { status: { in: ['queued', 'running'] } };

export const makerOf = (by: Actor): ExitMaker => ({
  createdBy: by.personId ?? by.keyId,
  madeByKey: by.keyId,
});

/**
 * As `holdMaker`; of a person without a key it holds the membership, so that a concurrent removal waits and sees the exit. Call it before
 * any other lock. Throws GraftError `invalid_api_key`.
 */
export async function holdExitMaker(tx: Transaction, teamId: string, by: Actor): Promise<void> {
  await holdMaker(tx, by);
  const personId = by.personId ?? null;
  if (by.keyId !== null || personId === null) return;
  const found = await tx.$queryRaw<object[]>`
    SELECT 1 FROM memberships WHERE team_id = ${teamId} AND person_id = ${personId} FOR KEY SHARE`;
  if (found.length === 0)
    throw new GraftError('invalid_api_key', 'You have left the team meanwhile.', { param: null });
}

/** All exits of a team: limits of each kind keep them few. */
export async function readExits(tx: Transaction, teamId: string): Promise<Exit[]> {
  const of = { where: { teamId }, orderBy: { createdAt: 'asc' } } as const;
  const maker = { id: true, createdBy: true, madeByKey: true, createdAt: true } as const;
  const webhooks = await tx.webhookEndpoint.findMany({
    ...of,
    select: { ...maker, url: true, disabledAt: true },
  });
  const integrations = await tx.integration.findMany({
    ...of,
    select: { ...maker, type: true, url: true, disabledAt: true },
  });
  const targets = await tx.deployTarget.findMany({
    where: { teamId, deletedAt: null },
    orderBy: of.orderBy,
    select: { ...maker, name: true, url: true, state: true },
  });
  const publications = await tx.publication.findMany({
    where: { teamId, ...openPublication },
    orderBy: of.orderBy,
    select: { ...maker, repository: true },
  });
  // A path may contain a token.
  const host = (url: string) => new URL(url).host;
  return [
    ...webhooks.map(({ url, disabledAt, ...row }) => ({
      ...row,
      kind: 'webhook' as const,
      name: host(url),
      isEnabled: disabledAt === null,
    })),
    ...integrations.map(({ type, url, disabledAt, ...row }) => ({
      ...row,
      kind: 'integration' as const,
      name: `${type} at ${host(url)}`,
      isEnabled: disabledAt === null,
    })),
    ...targets.map(({ name, url, state, ...row }) => ({
      ...row,
      kind: 'deploy_target' as const,
      name: `${name} at ${host(url)}`,
      isEnabled: state !== 'disabled',
    })),
    ...publications.map(({ repository, ...row }) => ({
      ...row,
      kind: 'publication' as const,
      name: repository,
      isEnabled: true,
    })),
  ];
}

/** Returns whether an exit was made by one of these keys, or by the person. */
export function isOfMaker(
  { createdBy, madeByKey }: ExitMaker,
  { keys, personId = null }: { keys: ReadonlySet<string>; personId?: string | null },
): boolean {
  return (madeByKey !== null && keys.has(madeByKey)) || (personId !== null && createdBy === personId);
}

/**
 * Ends exits, each with its audit row: endpoints, integrations and targets are disabled, and can be enabled again; publications fail, and can
 * be requested again. A sender finishes at most the request that is under way, since each asks before a request.
 */
export async function endExits(
  tx: Transaction,
  teamId: string,
  exits: readonly Exit[],
  { by, reason }: { by: Actor | null; reason: string },
): Promise<void> {
  const ids = (kind: ExitKind) => exits.flatMap((exit) => (exit.kind === kind ? [exit.id] : []));
  const of = (kind: ExitKind) => ({ teamId, id: { in: ids(kind) } });
  const now = new Date();
  const disabled = { disabledAt: now, disabledReason: reason };
  await tx.webhookEndpoint.updateMany({ where: { ...of('webhook'), disabledAt: null }, data: disabled });
  await tx.integration.updateMany({ where: { ...of('integration'), disabledAt: null }, data: disabled });
  await tx.deployTarget.updateMany({ where: of('deploy_target'), data: disabledTarget(reason) });
  await tx.publication.updateMany({
    where: { ...of('publication'), ...openPublication },
    data: {
      status: 'failed',
      error: json({ code: 'publication_ended', message: `${reason} Request it again.`, param: null }),
      leaseUntil: null,
      leaseToken: null,
      finishedAt: now,
    },
  });
  for (const { id, kind, createdBy, madeByKey } of exits) {
    const detail = { reason, created_by: createdBy, made_by_key: madeByKey };
    const verb = kind === 'publication' ? 'end' : 'disable';
    await insertAudit(tx, teamId, by, { action: `${kind}.${verb}`, target: id, detail });
  }
}

/** The columns of a target that is disabled: a process that works on it loses the lease, so that it asks the runtime nothing more. */
export const disabledTarget = (reason: string) => ({
  state: 'disabled',
  reason,
  generation: { increment: 1 },
  leaseUntil: null,
  leaseToken: null,
});
