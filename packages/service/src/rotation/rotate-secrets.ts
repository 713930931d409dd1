import { randomBytes } from 'node:crypto';
import { chown, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { graftAdmin } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { readOrMake } from '../data-folder/write-once.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { sealedForTarget } from '../deploy/manage-targets.ts';
import { sealedForIntegration } from '../integrations/manage-integrations.ts';
import { currentSeal, type SealedFor, seal, unseal } from '../secrets/sealed-secret.ts';
import type { SecretRing } from '../secrets/secret-ring.ts';
import { ringFiles } from '../secrets/secrets.ts';
import type { Services } from '../services.ts';
import { sealedForWebhook } from '../webhooks/seal-secret.ts';
import { countUses, readSecretUses } from './secret-uses.ts';

type Context = Pick<Services, 'db' | 'sql' | 'secrets' | 'env'>;
const batch = 200;

export interface Rotation {
  /** Versions created now, in files of the data folder. */
  made: { setting: SecretRing['setting']; version: number }[];
  /** Secrets of rings that the environment holds: the operator must set them in every process. */
  toSet: { setting: SecretRing['setting']; version: number; secret: string }[];
  /** Number of secrets now encrypted by the current version. */
  resealed: number;
  /** Number of secrets that no version opens: their teams must enter them again. */
  unreadable: number;
}

const newSecret = () => randomBytes(32).toString('hex');

/**
 * Creates a new version of each secret that has a single one, or with `again` of all, and re-encrypts stored secrets with the current
 * version. A repeated or concurrent call without `again` continues the work, and creates no further version.
 */
export async function rotateSecrets(context: Context, { again = false } = {}): Promise<Rotation> {
  const { pepper, sealing } = context.secrets;
  const rotation: Rotation = { made: [], toSet: [], resealed: 0, unreadable: 0 };
  for (const ring of new Set([pepper, sealing])) {
    await ring.reread();
    if (ring.versions.length > 1 && !again) continue;
    const version = Math.max(...ring.versions.map((each) => each.version)) + 1;
    const { setting } = ring;
    if (ring.isFile) {
      await makeVersion(context, ring, version);
      rotation.made.push({ setting, version });
    } else rotation.toSet.push({ setting, version, secret: newSecret() });
  }
  await resealAll(context, rotation);
  return rotation;
}

async function makeVersion(context: Context, ring: SecretRing, version: number): Promise<void> {
  const file = fileOf(context, ring, version);
  await readOrMake(file, newSecret);
  // If root creates it, give it to the user whose Graft reads it.
  if (process.getuid?.() === 0) {
    const { uid, gid } = await stat(path.dirname(file));
    await chown(file, uid, gid);
  }
  await ring.reread();
  await note(context, 'secret.rotate', ring, version);
}

/**
 * Deletes an old version of a ring in files. Throws GraftError `secret_in_use` while any row needs it, unless `force`, and
 * `secret_version_not_found`.
 */
export async function dropSecret(
  context: Context,
  name: SecretRing['name'],
  version: number,
  { force = false } = {},
): Promise<void> {
  const ring = [context.secrets.sealing, context.secrets.pepper].find((each) => each.name === name);
  await ring?.reread();
  const isHeld = ring?.versions.some((each) => each.version === version);
  if (!ring || !isHeld)
    throw new GraftError('secret_version_not_found', `There is no version ${version} of the ${name}.`, {
      param: 'version',
    });
  if (!ring.isFile)
    throw new GraftError(
      'secret_version_not_found',
      `Take version ${version} out of ${ring.setting} in every process.`,
      { param: 'version' },
    );
  if (version === ring.current.version)
    throw new GraftError('secret_in_use', `Version ${version} is the current one: rotate first.`, {
      param: 'version',
    });
  const use = (await readSecretUses(context)).find(
    (each) => each.setting === ring.setting && each.version === version,
  );
  const count = use ? countUses(use) : 0;
  if (count > 0 && !force)
    throw new GraftError(
      'secret_in_use',
      `${count} rows still need version ${version}: \`graft admin secrets status\` lists them. With --force they stop working.`,
      { param: 'version' },
    );
  await rm(fileOf(context, ring, version), { force: true });
  await ring.reread();
  await note(context, 'secret.drop', ring, version);
}

function fileOf({ env }: Context, { name }: SecretRing, version: number): string {
  const base = ringFiles[name];
  return path.join(dataFolder(env.dataDir).secrets, version === 1 ? base : `${base}.${version}`);
}

async function note(
  context: Context,
  action: string,
  { setting }: SecretRing,
  version: number,
): Promise<void> {
  await inTransaction(context, async (tx) => {
    await insertAudit(tx, null, graftAdmin, { action, target: setting, detail: { version } });
  });
}

async function resealAll({ db, secrets }: Context, rotation: Rotation): Promise<void> {
  const others = (id: string) => ({ id: { gt: id }, sealedBy: { not: currentSeal(secrets) } });
  const page = { take: batch, orderBy: { id: 'asc' } } as const;
  const reseal = async (
    of: SealedFor,
    row: { sealed: Uint8Array<ArrayBuffer>; sealedBy: string },
    write: (sealed: ReturnType<typeof seal>) => Promise<{ count: number }>,
  ) => {
    const secret = await unseal(secrets, of, row);
    if (secret === null) rotation.unreadable += 1;
    // Zero rows if its team has changed it meanwhile: it then has the current version, or the next run finds it.
    else rotation.resealed += (await write(seal(secrets, of, secret))).count;
  };
  for (let last = ''; ; ) {
    const rows = await db.webhookSecret.findMany({ where: others(last), ...page });
    for (const { id, teamId, endpointId, sealed, sealedBy } of rows) {
      await reseal(sealedForWebhook({ teamId, endpointId, id }), { sealed, sealedBy }, (data) =>
        db.webhookSecret.updateMany({ where: { id, sealed, sealedBy }, data }),
      );
    }
    if (rows.length < batch) break;
    last = rows.at(-1)!.id;
  }
  for (let last = ''; ; ) {
    const rows = await db.integration.findMany({
      where: { ...others(last), sealed: { not: null } },
      ...page,
    });
    for (const { id, teamId, type, sealed, sealedBy } of rows) {
      await reseal(sealedForIntegration({ teamId, type }), { sealed: sealed!, sealedBy }, (data) =>
        db.integration.updateMany({ where: { id, sealed, sealedBy }, data }),
      );
    }
    if (rows.length < batch) break;
    last = rows.at(-1)!.id;
  }
  for (let last = ''; ; ) {
    const rows = await db.deployTarget.findMany({
      where: { ...others(last), sealed: { not: null } },
      ...page,
    });
    for (const { id, teamId, sealed, sealedBy } of rows) {
      await reseal(sealedForTarget({ teamId, id }), { sealed: sealed!, sealedBy }, (data) =>
        db.deployTarget.updateMany({ where: { id, sealed, sealedBy }, data }),
      );
    }
    if (rows.length < batch) break;
    last = rows.at(-1)!.id;
  }
}
