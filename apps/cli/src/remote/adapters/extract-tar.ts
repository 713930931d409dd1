import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { CommandError } from '../../errors.ts';

export interface ExpectedFile {
  path: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/**
 * Unpacks exactly the expected files into an empty folder. The archive is not trusted: an entry that is not listed, is not a plain
 * file, differs in size or content, or would be written outside the folder is an error.
 */
export async function extractTar(
  archive: string,
  folder: string,
  expected: readonly ExpectedFile[],
): Promise<void> {
  const wanted = new Map(expected.map((file) => [file.path, file]));
  for (const path of wanted.keys()) checkPath(path);
  const entries = extract();
  const reading = pipeline(createReadStream(archive), entries);
  // When the archive is truncated, only this promise fails: the last entry waits for more bytes.
  const failure = new Promise<never>((_, reject) => reading.catch(reject));
  failure.catch(() => {});
  for await (const entry of entries) {
    const { name, type, size } = entry.header;
    const file = wanted.get(name);
    if (file === undefined || type !== 'file') {
      throw new CommandError(
        `The archive holds ${JSON.stringify(name)} (${type}), which does not belong to the adapter.`,
      );
    }
    if (size !== file.bytes)
      throw new CommandError(`${name} has ${size} bytes in the archive, not ${file.bytes}.`);
    wanted.delete(name);
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    const hash = createHash('sha256');
    const hashing = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    const writing = pipeline(entry, hashing, createWriteStream(path, { flags: 'wx', mode: 0o644 }));
    await Promise.race([writing, failure]);
    if (hash.digest('hex') !== file.sha256)
      throw new CommandError(`${name} is damaged: its SHA-256 is not ${file.sha256}.`);
  }
  await reading;
  const [missing] = wanted.keys();
  if (missing !== undefined) throw new CommandError(`The archive lacks ${missing}.`);
  // mkdtemp creates a folder that only its owner can enter. The adapter's folder gets the usual permissions.
  await chmod(folder, 0o755);
}

/** Checks that a path is relative, inside the folder, and portable. */
function checkPath(path: string): void {
  const parts = path.split('/');
  const odd = path === '' || path.includes('\\') || path.includes(':') || path.includes('\0');
  if (odd || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new CommandError(
      `The adapter lists a file at ${JSON.stringify(path)}, which is no place inside a folder.`,
    );
  }
}
