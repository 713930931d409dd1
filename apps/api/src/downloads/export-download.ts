import { type AdapterExport, isDamage, reportCorruption, type Services } from '@graft/service';
import { ApiError } from '../api-error.ts';
import type { Download } from './download.ts';
import { createTar, tarDigest } from './tar.ts';

/** Number of cached tar digests, about 100 bytes each. */
const rememberedDigests = 10_000;

/**
 * Creates downloads of exports: one file, or a tar of all. Throws GraftError `artifact_missing`
 * or `artifact_corrupt`: files that do not match the export's row are never sent, and a new request for the export writes it again.
 */
export function createExportDownloads(
  services: Pick<Services, 'exports' | 'db' | 'log' | 'env'>,
): (
  made: Pick<AdapterExport, 'id' | 'teamId' | 'corruptAt'>,
  stored: NonNullable<AdapterExport['stored']>,
  of: { name: string; path: string | null },
) => Promise<Download> {
  const { exports } = services;
  const digests = new Map<string, Promise<string>>();

  return async ({ id, teamId, corruptAt }, { artifact, files }, { name, path }) => {
    const file = files.find((each) => each.path === path);
    if (path !== null && !file)
      throw new ApiError('export_file_not_found', `The export has no file ${path.slice(0, 200)}.`, {
        param: 'path',
      });
    try {
      await exports.localFolder(artifact, { afresh: corruptAt !== null });
    } catch (error) {
      if (isDamage(error)) await reportCorruption(services, { kind: 'export', teamId, id }, error);
      throw error;
    }
    const read = (of: string, start: number, end: number) =>
      exports.open(artifact, of, { start, end: end - 1 });
    if (file) {
      return {
        filename: file.path.split('/').at(-1)!,
        contentType: 'application/octet-stream',
        bytes: file.bytes,
        sha256: file.sha256,
        read: async (start, end) => await read(file.path, start, end),
      };
    }
    const tar = await createTar(
      files.map((each) => ({
        path: each.path,
        bytes: each.bytes,
        async *read(start, end) {
          yield* await read(each.path, start, end);
        },
      })),
    );
    // Caches promises, so that two concurrent requests read the files once.
    let digest = digests.get(artifact);
    if (!digest) {
      digest = tarDigest(tar);
      digest.catch(() => digests.delete(artifact));
      digests.set(artifact, digest);
      if (digests.size > rememberedDigests) digests.delete(digests.keys().next().value!);
    }
    return {
      filename: `${name}.tar`,
      contentType: 'application/x-tar',
      bytes: tar.bytes,
      sha256: await digest,
      read: async (start, end) => tar.read(start, end),
    };
  };
}
