import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parsePeftConfig } from '@graft/peft-core/config';
import type { AdapterVersion } from '../../adapters/adapter.ts';
import { moveTag } from '../../adapters/adapter-tags.ts';
import { publishUpload } from '../../adapters/publish-upload.ts';
import { type Actor, graftAdmin } from '../../audit/actor.ts';
import { newId, randomText } from '../../ids.ts';
import type { Services } from '../../services.ts';
import type { TestTeam } from '../../testing/job-fixtures.ts';
import { type DeployTarget, targetOf } from '../deploy-target.ts';
import { createDeployTarget, type NewDeployTarget } from '../manage-targets.ts';
import type { DeployTimes } from '../send/deploy-times.ts';

/** Short intervals. */
export const quick: Partial<DeployTimes> = {
  pollMs: 20,
  connectMs: 500,
  listMs: 1_000,
  wholeMs: 1_000,
  leaseSeconds: 10,
  firstSeconds: 0.05,
  longestSeconds: 0.2,
  checkSeconds: 0.2,
  filesSeconds: 0,
};

export const by = graftAdmin;

/** An empty folder to share with runtimes. */
export const sharedFolder = async () => await mkdtemp(path.join(tmpdir(), 'graft-test-deploy-'));

/** Publishes the next version of the adapter `mine`. Without `writeWeights` its weights are random text. */
export async function publishVersion(
  services: Services,
  team: TestTeam,
  peft: Record<string, unknown> = {},
  writeWeights: (file: string) => Promise<unknown> = async (file) => await writeFile(file, randomText(1000)),
): Promise<AdapterVersion> {
  const config = { peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 8, target_modules: ['q_proj'], ...peft };
  const folder = await services.artifacts.stage(newId('version'), 0);
  await writeWeights(path.join(folder, 'adapter_model.safetensors'));
  await writeFile(path.join(folder, 'adapter_config.json'), JSON.stringify(config));
  return await publishUpload(
    services,
    team.id,
    {
      ...(await services.artifacts.publish(folder)),
      name: 'mine',
      base: { id: 'tiny', digest: 'b'.repeat(64) },
      peft: parsePeftConfig(config),
      parentId: null,
      note: null,
    },
    { keyId: team.keyId },
  );
}

/** Moves the tag `production`. */
export async function tag(
  services: Services,
  { teamId, adapterId, number: version }: AdapterVersion,
): Promise<void> {
  await moveTag(services, teamId, { adapterId, name: 'production', version }, by);
}

export async function addTarget(
  services: Services,
  { teamId, adapterId }: AdapterVersion,
  input: Partial<NewDeployTarget> & { url: string },
  maker: Actor = by,
): Promise<DeployTarget> {
  const target = { runtime: 'vllm', apiKey: 'sk-test', tag: 'production', modelName: 'support' } as const;
  const names = { name: randomText(8), versionedNames: true, keepSeconds: 0 };
  return await createDeployTarget(services, teamId, { ...target, ...names, adapterId, ...input }, maker);
}

/** Waits until the target satisfies a condition, and returns it then. */
export async function untilTarget(
  { db, env }: Services,
  { id }: { id: string },
  condition: (target: DeployTarget) => boolean,
): Promise<DeployTarget> {
  const end = Date.now() + 10_000;
  for (;;) {
    const target = targetOf(await db.deployTarget.findFirstOrThrow({ where: { id } }), env.deployFolder);
    if (condition(target)) return target;
    if (Date.now() > end) throw new Error(`not in time: ${JSON.stringify(target, null, 2)}`);
    await sleep(20);
  }
}
