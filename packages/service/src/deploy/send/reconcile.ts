import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { invocationOf, isHeldPadded, runtimesFor } from '@graft/peft-core/config';
import { writePaddedAdapter } from '@graft/peft-core/exports';
import type { RuntimeName } from '@graft/wire/lists';
import type { AdapterVersion } from '../../adapters/adapter.ts';
import { findVersionById } from '../../adapters/read-adapters.ts';
import { createEgress } from '../../egress/post-pinned.ts';
import { isInside } from '../../egress/team-url.ts';
import type { DeployTarget as Row } from '../../generated/client.ts';
import { unseal } from '../../secrets/sealed-secret.ts';
import { runtimePrefix, servedName, versionFolder } from '../deploy-target.ts';
import { deployRules, keyNeeded, sealedForTarget } from '../manage-targets.ts';
import { createAskRuntime } from '../runtimes/ask-runtime.ts';
import { type AskRuntime, type ListedAdapter, type Runtime, RuntimeFault } from '../runtimes/runtime.ts';
import { runtimes } from '../runtimes/runtimes.ts';
import type { DeployServices, DeployTimes } from './deploy-times.ts';
import {
  adapterFiles,
  removeVersions,
  targetFolder,
  type VersionFiles,
  writeVersion,
} from './shared-folder.ts';
import {
  type ClaimedTarget,
  recordDeployed,
  recordEmpty,
  recordLoading,
  release,
  removeTarget,
} from './target-work.ts';

export interface Attempt {
  times: DeployTimes;
  /** Checks whether the lease certainly belongs to this process at this moment. */
  isHeld(): boolean;
  /** Rejects if the lease is lost: another process has it, or the target was disabled. */
  confirm(): Promise<void>;
  signal: AbortSignal;
}

/** A target that is being worked on: what is wanted there, and how to ask its runtime. */
interface Work {
  row: Row;
  runtime: Runtime;
  ask: AskRuntime;
  /** The target's part of the shared folder, here, and with a slash at the end as the runtime sees it. */
  folder: string;
  prefix: string;
}

/**
 * Brings one runtime to what is wanted: loads the version of the tag unless the runtime lists it, records that, unloads the target's other
 * versions when their time is over, and removes their files. What the runtime lists decides, not what was recorded: only adapters whose path
 * is in the target's folder are this target's. The row of a deleted target stays until its files are removed, or too long without an answer. Throws
 * RuntimeFault.
 */
export async function reconcile(
  services: DeployServices,
  claimed: ClaimedTarget,
  attempt: Attempt,
): Promise<void> {
  const { times } = attempt;
  const row = await services.db.deployTarget.findFirst({ where: { teamId: claimed.teamId, id: claimed.id } });
  if (!row) return;
  const isOver = row.deletedAt !== null || claimed.isTeamGone;
  let isEmpty: boolean;
  try {
    const work = await openWork(services, row, attempt);
    const wanted = isOver ? null : await wantedVersion(services, row);
    if (wanted) return await deploy(services, claimed, { ...work, wanted }, attempt);
    await unloadOthers(work, await work.runtime.list(work.ask), null);
    isEmpty = await removeVersions(work.folder, { afterSeconds: times.filesSeconds, others: 'unloaded' });
  } catch (error) {
    if (attempt.signal.aborted || !hasGivenUp(row, times)) throw error;
    return await giveUp(services, claimed, row, times);
  }
  if (isEmpty && row.deletedAt !== null) return await removeTarget(services, claimed);
  const reason = isOver
    ? 'Its files are kept for requests that began before the unload.'
    : `The adapter has no tag ${row.tag}: point it at a version.`;
  await recordEmpty(services, claimed, reason);
  await release(services, claimed, times.checkSeconds);
}

/**
 * Removes the row of a deleted target whose runtime did not answer for too long. The files of versions that were not unloaded stay: a runtime
 * that only Graft does not reach may still read them, and ends without them. The operator's list of leftovers then has the target.
 */
async function giveUp(
  services: DeployServices,
  claimed: ClaimedTarget,
  row: Row,
  { filesSeconds: afterSeconds }: DeployTimes,
): Promise<void> {
  const { deployFolder } = services.env;
  const of = { teamId: row.teamId, target: row.id };
  const isEmpty =
    deployFolder !== undefined &&
    (await removeVersions(targetFolder(deployFolder, row), { afterSeconds, others: 'unknown' }).catch(
      () => false,
    ));
  if (!isEmpty)
    services.log.warn(
      of,
      'a deleted target is removed without an unload: files may remain in the shared folder',
    );
  await removeTarget(services, claimed, isEmpty ? null : row);
}

/** Loads the wanted version unless it is listed, then unloads the others. */
async function deploy(
  services: DeployServices,
  claimed: ClaimedTarget,
  work: Work & { wanted: AdapterVersion },
  { times, signal }: Attempt,
): Promise<void> {
  const { row, runtime, ask, folder, prefix, wanted } = work;
  const files = filesFor(services, runtime, wanted);
  const versionName = versionFolder(wanted);
  const name = servedName(row, wanted.number);
  const path = prefix + versionName;
  let listed = await runtime.list(ask);
  if (!isListed(listed, name, path)) {
    const sameName = listed.find((each) => each.name === name);
    if (sameName && !isOwn(work, sameName))
      throw new RuntimeFault(
        'refused',
        `${runtime.title} has a model ${name} that this target did not load: choose another model_name, or unload it there.`,
      );
    const isEmpty = !listed.some((each) => each.name === row.servedModel && isOwn(work, each));
    if (!(await recordLoading(services, claimed, isEmpty))) return;
    await writeVersion(folder, versionName, files, { token: claimed.token, signal });
    await load(work, { name, path }, sameName ?? null);
    listed = await runtime.list(ask);
    if (!isListed(listed, name, path))
      throw new RuntimeFault(
        'refused',
        `${runtime.title} loaded ${name}, but does not list it with its path: it is an older version, or several servers share the address. Give the address of one server.`,
      );
  }
  const recorded = await recordDeployed(services, claimed, { number: wanted.number, servedModel: name });
  if (!recorded) return;
  // Requests of clients that do not know the new name yet still find the old one.
  const kept = row.keepSeconds - recorded.deployedSeconds;
  const others = listed.filter((each) => isOwn(work, each) && !(each.name === name && each.path === path));
  if (others.length > 0 && kept > 0)
    return await release(services, claimed, Math.min(kept, times.checkSeconds));
  await unloadOthers(work, listed, { name, path });
  const inUse = new Set([versionName]);
  // The version serves, even if old files cannot be removed now: the next check tries again.
  await removeVersions(folder, { inUse, afterSeconds: times.filesSeconds, others: 'unloaded' }).catch(
    (err: unknown) =>
      services.log.warn({ err, teamId: row.teamId, target: row.id }, 'files of a deploy target remain'),
  );
  await release(services, claimed, times.checkSeconds);
}

/**
 * Loads an adapter. If its name is that of another version, unloads that first, and loads it again if the new one is refused: a version that
 * cannot be loaded does not end the one that serves.
 */
async function load(
  { runtime, ask }: Work,
  adapter: { name: string; path: string },
  before: ListedAdapter | null,
): Promise<void> {
  if (!before) return await runtime.load(ask, adapter);
  await runtime.unload(ask, before.name);
  try {
    await runtime.load(ask, adapter);
  } catch (error) {
    await runtime.load(ask, { name: before.name, path: before.path! }).catch(() => {});
    throw error;
  }
}

async function unloadOthers(
  work: Work,
  listed: readonly ListedAdapter[],
  wanted: { name: string; path: string } | null,
): Promise<void> {
  for (const each of listed)
    if (isOwn(work, each) && !(each.name === wanted?.name && each.path === wanted.path))
      await work.runtime.unload(work.ask, each.name);
}

const isListed = (listed: readonly ListedAdapter[], name: string, path: string) =>
  listed.some((each) => each.name === name && each.path === path);

/** Also where the runtime saw the folder before the target was changed: no other target has this id. */
const isOwn = ({ row }: Work, { path }: ListedAdapter) => path?.includes(`/${row.id}/v`) ?? false;

/** The version that the tag points at; null if the adapter has no such tag. */
async function wantedVersion(services: DeployServices, row: Row): Promise<AdapterVersion | null> {
  const { teamId, adapterId, tag: name } = row;
  const tag = await services.db.adapterTag.findFirst({ where: { teamId, adapterId, name } });
  const version = tag && (await findVersionById(services, teamId, tag.versionId));
  return version?.deletedAt === null ? version : null;
}

const hasGivenUp = ({ deletedAt }: Row, { giveUpSeconds }: DeployTimes) =>
  deletedAt !== null && Date.now() - deletedAt.getTime() > giveUpSeconds * 1000;

/** Throws RuntimeFault if the API key cannot be opened, or the operator has ended deployments. */
async function openWork(
  services: DeployServices,
  row: Row,
  { times, isHeld, confirm, signal }: Attempt,
): Promise<Work> {
  const { env, secrets } = services;
  if (env.deployFolder === undefined)
    throw new RuntimeFault(
      'refused',
      'The operator of this server has ended deployments (GRAFT_DEPLOY_FOLDER is not set).',
    );
  const { sealed, sealedBy, url } = row;
  const apiKey = sealed && (await unseal(secrets, sealedForTarget(row), { sealed, sealedBy }));
  if (sealed && apiKey === null)
    throw new RuntimeFault('refused', 'Its API key cannot be read any more: give it again as api_key.');
  if (apiKey === null && isInside(new URL(url)))
    throw new RuntimeFault('refused', `It has no API key: ${keyNeeded}`);
  const rules = await deployRules(services, row.teamId, { hasApiKey: apiKey !== null });
  const egress = { ...createEgress(rules, times, confirm), listMs: times.listMs };
  const asked = createAskRuntime({ url, apiKey }, egress, signal);
  return {
    row,
    runtime: runtimes[row.runtime as RuntimeName],
    ask: async (...request) => {
      // A process without the lease must not change a runtime that another process works on.
      if (!isHeld() || signal.aborted) throw new RuntimeFault('away', 'It answers too slowly.');
      return await asked(...request);
    },
    folder: targetFolder(env.deployFolder, row),
    prefix: runtimePrefix(row, env.deployFolder),
  };
}

type FileServices = Pick<DeployServices, 'artifacts' | 'baseModels'>;

/** Milliseconds to open a base model that is not on this machine yet. */
const openModelMs = 20_000;

/**
 * Returns the files of a version for a runtime: those of the adapter, or with one rank and scale for all updates if the runtime takes no
 * others. Throws RuntimeFault with the reason why the runtime cannot hold it.
 */
function filesFor(
  services: FileServices,
  { title }: Pick<Runtime, 'title'>,
  version: AdapterVersion,
): VersionFiles {
  const { peft, number, files, corruptAt } = version;
  const named = `Version ${number}`;
  if (corruptAt) throw new RuntimeFault('refused', `${named} is damaged: move the tag to another version.`);
  if (invocationOf(peft))
    throw new RuntimeFault(
      'refused',
      `${title} would apply ${named} to whole prompts, and it is active from its alora_invocation_tokens on: Graft and HF PEFT serve it, and llama-server as gguf-lora.`,
    );
  const isHeld = runtimesFor(peft).includes(title);
  if (!isHeld && !isHeldPadded(peft, title))
    throw new RuntimeFault(
      'refused',
      `${title} does not hold ${named}: it takes low-rank updates of linear layers, without magnitudes, biases, token tables, experts and modules saved in full. Export merged weights.`,
    );
  const missing = adapterFiles.find((file) => !files.some(({ path: each }) => each === file));
  if (missing) throw new RuntimeFault('refused', `${named} has no ${missing}.`);
  return isHeld ? copied(services, version) : padded(services, version);
}

function copied({ artifacts }: FileServices, { artifact, files }: AdapterVersion): VersionFiles {
  return {
    sizes: files.filter(({ path: each }) => adapterFiles.some((file) => file === each)),
    write: async (folder, signal) => {
      for (const file of adapterFiles)
        await pipeline(await artifacts.open(artifact, file), createWriteStream(path.join(folder, file)), {
          signal,
        });
    },
  };
}

/** Only the base model's outline shows which pattern of a rank or scale applies to which module. */
function padded({ artifacts, baseModels }: FileServices, version: AdapterVersion): VersionFiles {
  const { artifact, baseModel } = version;
  return {
    sizes: adapterFiles.map((file) => ({ path: file, bytes: null })),
    write: async (folder, signal) => {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(openModelMs)]);
      const model = await baseModels.get(baseModel, { signal: patience }).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!patience.aborted) throw error;
        throw new RuntimeFault(
          'away',
          `The base model ${baseModel}, by which Graft gives all updates one rank, is still being fetched.`,
        );
      });
      if (!model)
        throw new RuntimeFault(
          'refused',
          `Version ${version.number} needs one rank and scale for all updates, which Graft computes by the base model ${baseModel}, and that is not on this server any more: ask its operator to add it.`,
        );
      const from = await artifacts.localFolder(artifact);
      await writePaddedAdapter(from, folder, { modelConfig: model.config, signal });
    },
  };
}
