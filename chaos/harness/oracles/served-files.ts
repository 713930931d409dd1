import { createHash } from 'node:crypto';
import type { AcceptedJob } from '../jobs.ts';

/** Checks that a client downloads the bytes that the job's row promises. One line for each file that differs. */
export async function servedFaults(job: AcceptedJob): Promise<string[]> {
  const { client } = job.team;
  try {
    const { fine_tuned_model: model } = await client.fineTuning.jobs.retrieve(job.id);
    const version = await client.adapters.retrieveVersionOf(String(model));
    if (!version) return ['its model has no version'];
    const chunks: Uint8Array[] = [];
    for await (const chunk of client.adapters.download(version.adapter_id, version.version).bytes()) {
      chunks.push(chunk);
    }
    const served = digestsOfTar(Buffer.concat(chunks));
    return version.files
      .filter(({ path, sha256 }) => served.get(path) !== sha256)
      .map(({ path }) => `${path} is served with bytes that differ from its row`);
  } catch (error) {
    return [`its files cannot be downloaded: ${(error as Error).message}`];
  }
}

const block = 512;

/** sha256 of each plain file of a tar archive, by its path without the archive's single top folder. */
export function digestsOfTar(tar: Buffer): Map<string, string> {
  const digests = new Map<string, string>();
  const text = (at: number, length: number) => tar.toString('utf8', at, at + length).split('\0')[0] ?? '';
  for (let at = 0; at + block <= tar.length && tar[at] !== 0; ) {
    const bytes = Number.parseInt(text(at + 124, 12), 8);
    const plain = tar[at + 156] === 0x30 || tar[at + 156] === 0;
    const name = [text(at + 345, 155), text(at, 100)].filter(Boolean).join('/');
    const start = at + block;
    if (plain) {
      const digest = createHash('sha256')
        .update(tar.subarray(start, start + bytes))
        .digest('hex');
      for (const path of [name, name.slice(name.indexOf('/') + 1)]) digests.set(path, digest);
    }
    at = start + Math.ceil(bytes / block) * block;
  }
  return digests;
}
