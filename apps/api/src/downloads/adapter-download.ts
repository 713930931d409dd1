import {
  type AdapterVersion,
  type CheckpointAdapter,
  isDamage,
  reportCorruption,
  type Services,
} from '@graft/service';
import type { Download } from './download.ts';
import { createTar, tarDigest } from './tar.ts';

/** How many digests of tars are kept, about 100 bytes each. They stay valid, since an adapter version never changes. */
const rememberedDigests = 10_000;

/** What is downloaded: a version, or the adapter of a job's checkpoint. */
type Downloaded = Pick<
  AdapterVersion | CheckpointAdapter,
  'artifact' | 'digest' | 'files' | 'teamId' | 'id' | 'jobId' | 'modelName' | 'corruptAt'
>;

/**
 * Makes the download of an adapter version, or of the adapter of a checkpoint: a tar of the files that Hugging Face PEFT loads. Throws GraftError
 * `artifact_missing`, `artifact_corrupt`: bytes that are not those of the version's row are never digested for the client.
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
    // Kept as promises, so that two requests at once read the files once.
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
