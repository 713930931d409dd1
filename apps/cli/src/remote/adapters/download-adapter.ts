import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AdapterDownload, AdapterVersion, DownloadOptions, GraftClient } from '@graft/client';
import { extract } from 'tar-stream';
import { TransferDisplay } from '../../draw/transfer-display.ts';
import { CommandError } from '../../errors.ts';
import { alreadyThere, checkOutput, type SaveOptions } from './save-options.ts';

export interface SavedAdapter extends Pick<AdapterVersion, SavedField> {
  path: string;
}

type SavedField = 'adapter_id' | 'version' | 'model' | 'base_model' | 'bytes' | 'files';

/**
 * Downloads one version and unpacks it. `output` is written only after the whole archive has been received and its digests match. An
 * interrupted download resumes when it is requested again.
 */
export async function downloadAdapter(
  client: GraftClient,
  { adapterId, version: number }: { adapterId: string; version: number },
  options: SaveOptions,
): Promise<SavedAdapter> {
  const version = await client.adapters.versions.retrieve(adapterId, number);
  await saveArchive(
    {
      title: `${version.adapter_name} v${version.version}`,
      digest: version.digest,
      files: version.files,
      open: (onProgress) => client.adapters.download(adapterId, number, { onProgress }),
    },
    options,
  );
  const { adapter_id, model, base_model, bytes, files } = version;
  return { path: options.output, adapter_id, version: version.version, model, base_model, bytes, files };
}

interface Archive {
  title: string;
  digest: string;
  files: AdapterVersion['files'];
  open: (onProgress: NonNullable<DownloadOptions['onProgress']>) => AdapterDownload;
}

/** Downloads an archive and, unless `tar` is set, unpacks it into a folder. */
export async function saveArchive(from: Archive, options: SaveOptions): Promise<void> {
  const output = resolve(options.output);
  const parent = dirname(output);
  await mkdir(parent, { recursive: true });
  // The name depends on the content, so that only a download of the same archive is resumed.
  const content = from.digest.replaceAll(/[^0-9a-z]/gi, '').slice(-16);
  const archive = join(parent, `.${basename(output)}.${content}.tar`);
  const display = new TransferDisplay(process.stderr, `Downloading ${from.title}`);
  try {
    await from.open(({ received, total }) => display.update(received, total)).toFile(archive);
  } finally {
    display.close();
  }
  if (options.tar) return await rename(archive, output);
  const unpacked = await mkdtemp(join(parent, `.${basename(output)}.`));
  try {
    await extractTar(archive, unpacked, from.files);
    // Someone may have written there meanwhile.
    checkOutput(options);
    await replaceFolder(output, unpacked, options);
  } catch (error) {
    await rm(unpacked, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(archive, { force: true });
  }
}

/** Moves a complete folder to the output; after an error the output is as it was. */
async function replaceFolder(output: string, folder: string, options: SaveOptions): Promise<void> {
  const before = `${folder}.replaced`;
  const isReplaced = options.overwrite === true && existsSync(output);
  if (isReplaced) await rename(output, before);
  try {
    await rename(folder, output);
  } catch (error) {
    if (isReplaced) await rename(before, output);
    throw (error as NodeJS.ErrnoException).code === 'ENOTEMPTY' ? alreadyThere(options.output) : error;
  }
  if (isReplaced) await rm(before, { recursive: true, force: true });
}

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
