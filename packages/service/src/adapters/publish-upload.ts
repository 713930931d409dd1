import type { PeftConfig } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { newId } from '../ids.ts';
import type { StoredArtifact } from '../storage/artifact-store.ts';
import { readQuota } from '../teams/team-quota.ts';
import type { IncomingBytes } from '../teams/within-quota.ts';
import { checkByteQuota, inQuota } from '../teams/within-quota.ts';
import type { AdapterVersion } from './adapter.ts';
import { insertVersion } from './insert-version.ts';

interface UploadedAdapter extends StoredArtifact {
  name: string;
  /** Catalogue id, and the digest of the weights against which the files were checked. */
  base: { id: string; digest: string };
  peft: PeftConfig;
  /** Version from which the training continued elsewhere. */
  parentId: string | null;
  note: string | null;
}

/**
 * Publishes checked files as the next version of the adapter of this name, with its audit row, in one transaction. `incoming` holds the
 * bytes as counted so far. Throws QuotaExceeded.
 */
export async function publishUpload(
  db: Database,
  teamId: string,
  upload: UploadedAdapter,
  by: Actor,
  incoming?: Pick<IncomingBytes, 'settle'>,
): Promise<AdapterVersion> {
  const { name, base, peft, parentId, note, ...stored } = upload;
  const quota = await readQuota(db, teamId);
  return await inQuota(db, teamId, (quota?.storedBytes ?? null) !== null, async (tx) => {
    await incoming?.settle(tx);
    if (quota) await checkByteQuota(tx, teamId, quota, stored.bytes);
    const team = await tx.team.findFirstOrThrow({ where: { id: teamId } });
    const id = newId('version');
    const version = await insertVersion(
      tx,
      { teamId, baseModel: base.id, name },
      {
        ...stored,
        id,
        jobId: null,
        keyId: by.keyId,
        parentId,
        note,
        modelName: `ft:${base.id}:${team.name}:${name}:${id.slice(-8)}`,
        peft,
        lineage: { source: 'upload', base_model: base, peft },
        metrics: null,
      },
    );
    const { modelName, digest, bytes } = version;
    const detail = { model: modelName, digest, bytes };
    await insertAudit(tx, teamId, by, { action: 'adapter.upload', target: id, detail });
    return version;
  });
}
