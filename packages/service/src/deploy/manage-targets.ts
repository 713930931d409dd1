import { GraftError } from '@graft/peft-core/config';
import { maxDeployTargets, type RuntimeName } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inRowTransaction, inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import { tryLockName } from '../database/wait-for-row.ts';
import { createEgressRules, type EgressRules } from '../egress/address-rules.ts';
import { teamRules } from '../egress/team-rules.ts';
import { isInside, parseTeamUrl } from '../egress/team-url.ts';
import { newId } from '../ids.ts';
import { disabledTarget, holdExitMaker, makerOf } from '../keys/exits.ts';
import { type SealedFor, type SealingKeys, seal } from '../secrets/sealed-secret.ts';
import { type DeployTarget, maxDeployTargetRows, targetOf } from './deploy-target.ts';

type Context = Database & {
  secrets: SealingKeys;
  env: { deployAllow: string[]; deployFolder: string | undefined };
};

export interface NewDeployTarget {
  name: string;
  runtime: RuntimeName;
  url: string;
  apiKey: string | null;
  adapterId: string;
  tag: string;
  /** Default: where Graft sees the team's part of the shared folder, whatever that is at the time. */
  folder?: string | undefined;
  modelName: string;
  versionedNames: boolean;
  keepSeconds: number;
}

/** Omitted fields keep their value. A target keeps its runtime, address and adapter: another one is another target. */
export interface DeployTargetChanges {
  name?: string | undefined;
  apiKey?: string | null | undefined;
  tag?: string | undefined;
  folder?: string | undefined;
  modelName?: string | undefined;
  versionedNames?: boolean | undefined;
  keepSeconds?: number | undefined;
  /** False: nothing is sent to the runtime, which keeps what it has loaded. */
  enabled?: boolean | undefined;
}

const setting = 'GRAFT_DEPLOY_ALLOW';

/**
 * Rules for the addresses that a team's runtimes may have. Those that are not on the internet require an API key, since anybody who reaches
 * a runtime without one changes its adapters.
 */
export async function deployRules(
  { db, env }: Pick<Database, 'db'> & { env: { deployAllow: string[] } },
  teamId: string,
  { hasApiKey }: { hasApiKey: boolean },
): Promise<EgressRules> {
  if (!hasApiKey) return createEgressRules([], `${setting}, for targets with an API key`);
  return await teamRules({ db }, teamId, { entries: env.deployAllow, setting });
}

/** Returns the purpose that an API key is sealed for: its row. */
export function sealedForTarget({ teamId, id }: { teamId: string; id: string }): SealedFor {
  return { purpose: 'API keys of deploy targets, 1', row: [teamId, id] };
}

/** Due by any clock. */
const dueNow = { generation: { increment: 1 }, nextAttemptAt: new Date(0) } as const;
const live = { deletedAt: null } as const;

/**
 * Creates a target, which begins to follow its tag. Throws GraftError `deploy_off`, `adapter_not_found`, `invalid_deploy_target`,
 * `deploy_target_exists`, `too_many_deploy_targets`.
 */
export async function createDeployTarget(
  context: Context,
  teamId: string,
  input: NewDeployTarget,
  by: Actor,
): Promise<DeployTarget> {
  if (context.env.deployFolder === undefined)
    throw new GraftError(
      'deploy_off',
      'The operator of this server has named no folder that runtimes can read: ask the operator to set GRAFT_DEPLOY_FOLDER.',
      { param: null },
    );
  const url = await parseAddress(context, teamId, input);
  const { apiKey, folder = null, ...fields } = input;
  return await inRowTransaction(context, `deploy targets of ${teamId}`, async (tx) => {
    await holdExitMaker(tx, teamId, by);
    // The second of two concurrent calls counts the target of the first.
    await tryLockName(tx, `graft:deploy-targets:${teamId}`);
    const adapter = { teamId, id: input.adapterId, versions: { some: live } };
    if ((await tx.adapter.count({ where: adapter })) === 0)
      throw new GraftError('adapter_not_found', `No such adapter: ${input.adapterId}`, {
        param: 'adapter_id',
      });
    if ((await tx.deployTarget.count({ where: { teamId, ...live } })) >= maxDeployTargets)
      throw new GraftError(
        'too_many_deploy_targets',
        `A team has at most ${maxDeployTargets} deploy targets: delete one first.`,
        { param: null },
      );
    if ((await tx.deployTarget.count({ where: { teamId } })) >= maxDeployTargetRows)
      throw new GraftError(
        'too_many_deploy_targets',
        'Too many deleted deploy targets of the team are still being unloaded: try again when their runtimes have answered, within a day at most.',
        { param: null },
      );
    await checkFree(tx, teamId, { ...fields, url }, null);
    const id = newId('deployTarget');
    const sealed = apiKey === null ? null : seal(context.secrets, sealedForTarget({ teamId, id }), apiKey);
    const row = await tx.deployTarget.create({
      data: { id, teamId, ...fields, url, folder, ...sealed, ...makerOf(by) },
    });
    const detail = { name: row.name, runtime: row.runtime, host: new URL(url).host, tag: row.tag };
    await insertAudit(tx, teamId, by, { action: 'deploy_target.create', target: id, detail });
    return targetOf(row, context.env.deployFolder);
  });
}

/** Throws if another live target has the name, or could load adapters of the same name into the same server. */
async function checkFree(
  tx: Transaction,
  teamId: string,
  { name, url, modelName }: { name: string; url: string; modelName: string },
  id: string | null,
): Promise<void> {
  const others = { teamId, ...live, ...(id !== null && { id: { not: id } }) };
  const same = await tx.deployTarget.findFirst({
    where: { ...others, OR: [{ name }, { url, modelName }] },
    select: { name: true },
  });
  if (!same) return;
  const isName = same.name === name;
  throw new GraftError(
    'deploy_target_exists',
    isName
      ? `The team has a deploy target ${name}: choose another name.`
      : `The target ${same.name} loads adapters as ${modelName} into the same server: choose another model_name.`,
    { param: isName ? 'name' : 'model_name' },
  );
}

async function parseAddress(
  context: Context,
  teamId: string,
  { url: text, apiKey }: Pick<NewDeployTarget, 'url' | 'apiKey'>,
): Promise<string> {
  const url = parseTeamUrl(text, await deployRules(context, teamId, { hasApiKey: true }), {
    code: 'invalid_deploy_target',
    noPassword: 'give the API key of the runtime as api_key',
  });
  if (url.search)
    throw new GraftError('invalid_deploy_target', 'url must hold no query (?…).', { param: 'url' });
  checkHasKey(url.href, apiKey !== null);
  return url.href.replace(/\/+$/, '').replace(/\/v1$/, '');
}

/** Throws unless an address that can only be internal has an API key; those of names are checked at each attempt. */
function checkHasKey(url: string, hasApiKey: boolean): void {
  if (hasApiKey || !isInside(new URL(url))) return;
  throw new GraftError('invalid_deploy_target', `api_key: ${keyNeeded}`, { param: 'api_key' });
}

/** Why a target at an internal address does nothing without an API key. */
export const keyNeeded =
  'a runtime that is not on the internet must be started with an API key (--api-key), or anybody who reaches it changes its adapters: give that key as api_key.';

/** Lists a team's targets, newest first. Throws GraftError `invalid_cursor`. */
export async function listDeployTargets(
  { db, env }: Context,
  teamId: string,
  options: PageOptions & { adapterId?: string | undefined },
): Promise<Page<DeployTarget>> {
  const { adapterId } = options;
  const filter = adapterId === undefined ? {} : { adapterId };
  return await listRows(db.deployTarget, options, { where: { teamId, ...live }, filter }, (row) =>
    targetOf(row, env.deployFolder),
  );
}

export async function getDeployTarget(
  { db, env }: Context,
  teamId: string,
  id: string,
): Promise<DeployTarget | null> {
  const row = await db.deployTarget.findFirst({ where: { teamId, id, ...live } });
  return row && targetOf(row, env.deployFolder);
}

/** Changes a target, which is then checked immediately. Null if the team has no such target. Throws GraftError `deploy_target_exists`. */
export async function updateDeployTarget(
  context: Context,
  teamId: string,
  id: string,
  changes: DeployTargetChanges,
  by: Actor,
): Promise<DeployTarget | null> {
  const { apiKey, enabled, ...fields } = changes;
  return await inRowTransaction(context, `deploy targets of ${teamId}`, async (tx) => {
    await holdExitMaker(tx, teamId, by);
    await tryLockName(tx, `graft:deploy-targets:${teamId}`);
    const before = await tx.deployTarget.findFirst({ where: { teamId, id, ...live } });
    if (!before) return null;
    const { name = before.name, modelName = before.modelName } = fields;
    await checkFree(tx, teamId, { name, modelName, url: before.url }, id);
    if (apiKey === null) checkHasKey(before.url, false);
    const key =
      apiKey === undefined
        ? {}
        : apiKey === null
          ? { sealed: null }
          : seal(context.secrets, sealedForTarget({ teamId, id }), apiKey);
    const row = await tx.deployTarget.update({
      where: { teamId_id: { teamId, id } },
      data: {
        ...given(fields),
        ...key,
        ...dueNow,
        failures: 0,
        updatedAt: new Date(),
        // Who gives its key or enables it is responsible for it: revoking that key disables it.
        ...((apiKey || enabled === true) && makerOf(by)),
        ...(enabled === true && before.state === 'disabled' && { state: 'waiting', reason: null }),
        ...(enabled === false && before.state !== 'disabled' && disabledTarget('Disabled by the team.')),
      },
    });
    const detail = { name: row.name, tag: row.tag, fields: Object.keys(given(changes)) };
    await insertAudit(tx, teamId, by, { action: 'deploy_target.update', target: id, detail });
    return targetOf(row, context.env.deployFolder);
  });
}

/** The fields that are there. */
function given<T extends object>(fields: T): { [Field in keyof T]?: Exclude<T[Field], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof given<T>
  >;
}

/** Attempts a target immediately. Null if the team has no such target. */
export async function retryDeployTarget(
  context: Context,
  teamId: string,
  id: string,
  by: Actor,
): Promise<DeployTarget | null> {
  return await inTransaction(context, async (tx) => {
    const data = { ...dueNow, failures: 0 };
    const { count } = await tx.deployTarget.updateMany({ where: { teamId, id, ...live }, data });
    if (count === 0) return null;
    await insertAudit(tx, teamId, by, { action: 'deploy_target.retry', target: id });
    return targetOf(
      await tx.deployTarget.findFirstOrThrow({ where: { teamId, id } }),
      context.env.deployFolder,
    );
  });
}

/** Deletes a target: its runtime unloads the adapter, and then its files and its row are removed. False if the team has no such target. */
export async function deleteDeployTarget(
  db: Database,
  teamId: string,
  id: string,
  by: Actor,
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const data = { ...dueNow, failures: 0, deletedAt: new Date() };
    const { count } = await tx.deployTarget.updateMany({ where: { teamId, id, ...live }, data });
    if (count === 0) return false;
    await insertAudit(tx, teamId, by, { action: 'deploy_target.delete', target: id });
    return true;
  });
}
