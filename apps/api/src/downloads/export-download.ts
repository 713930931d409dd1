import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { AdapterExport } from '@graft/service/exports';
import { isDamage, reportCorruption } from '@graft/service/maintenance';
import type { Services } from '@graft/service/services';
import { ApiError } from '../api-error.ts';
import { createFairQueue } from '../threads/fair-queue.ts';
import type { Download } from './download.ts';
import { createTar, tarDigest } from './tar.ts';

/** Number of cached tar digests, about 100 bytes each. */
const rememberedDigests = 10_000;

/**
 * Creates downloads of exports: one file, or a tar of all. Throws GraftError `artifact_missing` or `artifact_corrupt`: files that do not
 * match the export's row are never sent, and a new request for the export writes it again. QueueFull: too many wait.
 */
export function createExportDownloads(
  services: Pick<Services, 'exports' | 'db' | 'log' | 'env'>,
): (
  made: Pick<AdapterExport, 'id' | 'teamId' | 'corruptAt'>,
  stored: NonNullable<AdapterExport['stored']>,
  of: { name: string; path: string | null },
) => Promise<Download> {
  const { exports } = services;
  const digests = new Map<string, string>();
  const queue = createFairQueue({ running: { perOwner: 1, all: 2 }, waiting: { perOwner: 16, all: 256 } });
  const working = new Map<string, Promise<string>>();

  /** Reads large files when it is the team's turn; concurrent requests for the same share the work. */
  async function inTurn(teamId: string, key: string, work: () => Promise<string>): Promise<string> {
    const own = `${teamId} ${key}`;
    let result = working.get(own);
    if (!result) {
      result = queue.run(teamId, work).finally(() => working.delete(own));
      working.set(own, result);
    }
    return await result;
  }

  /** Opens a file of the folder, which was verified; the store's `open` would look at all of its files again for each of them. */
  async function openVerified(
    folder: string,
    artifact: string,
    path: string,
    span: { start: number; end: number },
  ): Promise<AsyncIterable<Buffer>> {
    const handle = await open(join(folder, path)).catch(() => null);
    // A long download may outlast the cached copy of a remote store.
    return handle ? handle.createReadStream(span) : await exports.open(artifact, path, span);
  }

  return async ({ id, teamId, corruptAt }, { artifact, files }, { name, path }) => {
    const file = files.find((each) => each.path === path);
    if (path !== null && !file)
      throw new ApiError('export_file_not_found', `The export has no file ${path.slice(0, 200)}.`, {
        param: 'path',
      });
    const folder = await inTurn(teamId, `files ${artifact}`, async () => {
      try {
        return await exports.localFolder(artifact, { afresh: corruptAt !== null });
      } catch (error) {
        if (isDamage(error)) await reportCorruption(services, { kind: 'export', teamId, id }, error);
        throw error;
      }
    });
    if (file) {
      return {
        filename: file.path.split('/').at(-1)!,
        contentType: 'application/octet-stream',
        bytes: file.bytes,
        sha256: file.sha256,
        read: async (start, end) => await exports.open(artifact, file.path, { start, end: end - 1 }),
      };
    }
    const tar = await createTar(
      files.map((each) => ({
        path: each.path,
        bytes: each.bytes,
        async *read(start, end) {
          yield* await openVerified(folder, artifact, each.path, { start, end: end - 1 });
        },
      })),
    );
    let digest = digests.get(artifact);
    if (!digest) {
      digest = await inTurn(teamId, `tar ${artifact}`, async () => await tarDigest(tar));
      digests.set(artifact, digest);
      if (digests.size > rememberedDigests) digests.delete(digests.keys().next().value!);
    }
    return {
      filename: `${name}.tar`,
      contentType: 'application/x-tar',
      bytes: tar.bytes,
      sha256: digest,
      read: async (start, end) => tar.read(start, end),
    };
  };
}
