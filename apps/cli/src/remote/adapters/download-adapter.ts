import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { AdapterDownload, AdapterVersion, DownloadOptions, GraftClient } from '@graft/client';
import { TransferDisplay } from '../../draw/transfer-display.ts';
import { extractTar } from './extract-tar.ts';
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

/** The archive of an adapter, and its expected contents. */
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
