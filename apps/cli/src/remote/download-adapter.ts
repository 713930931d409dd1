import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { AdapterVersion, GraftClient } from '@graft/client';
import { TransferDisplay } from '../draw/transfer-display.ts';
import { CommandError } from '../errors.ts';
import { extractTar } from './extract-tar.ts';
import type { AdapterVersionName } from './find-adapter-version.ts';

export interface SavedAdapter {
  path: string;
  adapter_id: string;
  version: number;
  model: string;
  base_model: string;
  bytes: number;
  files: AdapterVersion['files'];
}

/**
 * Downloads one version and unpacks it. `output` is written only after everything has arrived and its digests are right.
 * When an interrupted download is asked for again, it goes on where it stopped.
 */
export async function downloadAdapter(
  client: GraftClient,
  name: AdapterVersionName,
  options: { output: string; tar?: boolean; overwrite?: boolean },
): Promise<SavedAdapter> {
  const output = resolve(options.output);
  if (!options.overwrite && !(await isFree(output))) {
    throw new CommandError(`${options.output} exists already: choose another output, or add --overwrite.`);
  }
  const number = name.version ?? (await client.adapters.retrieve(name.adapterId)).latest_version;
  if (number === null) throw new CommandError(`${name.adapterId} has no version to download.`);
  const version = await client.adapters.versions.retrieve(name.adapterId, number);

  const parent = dirname(output);
  await mkdir(parent, { recursive: true });
  // Named by its content, so that only the same archive is ever continued.
  const archive = join(
    parent,
    `.${basename(output)}.${version.digest.replaceAll(/[^0-9a-z]/gi, '').slice(-16)}.tar`,
  );
  const display = new TransferDisplay(
    process.stderr,
    `Downloading ${version.adapter_name} v${version.version}`,
  );
  try {
    await client.adapters
      .download(name.adapterId, number, {
        onProgress: ({ received, total }) => display.update(received, total),
      })
      .toFile(archive);
  } finally {
    display.close();
  }
  const saved: SavedAdapter = {
    path: options.output,
    adapter_id: version.adapter_id,
    version: version.version,
    model: version.model,
    base_model: version.base_model,
    bytes: version.bytes,
    files: version.files,
  };
  if (options.tar) {
    await rename(archive, output);
    return saved;
  }
  const unpacked = await mkdtemp(join(parent, `.${basename(output)}.`));
  try {
    await extractTar(archive, unpacked, version.files);
    if (options.overwrite) await rm(output, { recursive: true, force: true });
    await rename(unpacked, output);
  } catch (error) {
    await rm(unpacked, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(archive, { force: true });
  }
  return saved;
}

/** Nothing there, or an empty folder. */
async function isFree(path: string): Promise<boolean> {
  if (!existsSync(path)) return true;
  try {
    return (await readdir(path)).length === 0;
  } catch {
    return false;
  }
}
