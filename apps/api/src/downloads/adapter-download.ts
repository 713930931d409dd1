import type { AdapterVersion, CheckpointAdapter } from '@graft/service/adapters';
import { isDamage, reportCorruption } from '@graft/service/maintenance';
import type { Services } from '@graft/service/services';
import type { Download } from './download.ts';
import { createTar, tarDigest } from './tar.ts';

/** Number of cached tar digests, about 100 bytes each. Digests never expire, since an adapter version never changes. */
const rememberedDigests = 10_000;

/** The subject of a download: an adapter version, or the adapter of a checkpoint. */
type Downloaded = Pick<
  AdapterVersion | CheckpointAdapter,
  'artifact' | 'digest' | 'files' | 'teamId' | 'id' | 'jobId' | 'modelName' | 'corruptAt'
>;

/**
 * Creates downloads of adapter versions and of checkpoints' adapters: a tar of the files that Hugging Face PEFT loads. Throws GraftError
 * `artifact_missing` or `artifact_corrupt`: files that do not match the version's row are never digested or sent.
 */
export function createAdapterDownloads(
  services: Pick<Services, 'artifacts' | 'db' | 'log' | 'env'>,
): (kind: 'artifact' | 'checkpoint', of: Downloaded, filename: string) => Promise<Download> {
  const { artifacts } = services;
  const digests = new Map<string, Promise<string>>();

  return async (kind, of, filename) => {
    const { artifact, files, teamId, id, jobId, modelName, corruptAt } = of;
    try {
      await artifacts.localFolder(artifact, { afresh: corruptAt !== null });
    } catch (error) {
      if (isDamage(error)) {
        await reportCorruption(services, { kind, teamId, id, jobId, modelName }, error);
      }
      throw error;
    }
    const tar = await createTar(
      files.map((file) => ({
        path: file.path,
        bytes: file.bytes,
        async *read(start, end) {
          yield* await artifacts.open(artifact, file.path, { start, end: end - 1 });
        },
      })),
    );
    // Caches promises, so that two concurrent requests read the files once.
    let digest = digests.get(of.digest);
    if (!digest) {
      digest = tarDigest(tar);
      digest.catch(() => digests.delete(of.digest));
      digests.set(of.digest, digest);
      if (digests.size > rememberedDigests) digests.delete(digests.keys().next().value!);
    }
    return {
      filename,
      contentType: 'application/x-tar',
      bytes: tar.bytes,
      sha256: await digest,
      read: async (start, end) => tar.read(start, end),
    };
  };
}
