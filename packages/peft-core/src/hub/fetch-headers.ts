import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import { headerLength } from '../safetensors/safetensors-header.ts';
import { downloadFile } from './download-file.ts';
import { connectToHub, type HubConnection, modelFileUrl } from './hub-connection.ts';
import { chooseFiles, type HubFile } from './hub-files.ts';
import { findHubCommit, type HubSpec } from './hub-model.ts';
import { listHubFiles } from './list-hub-files.ts';
import type { ResolveOptions } from './resolve-options.ts';

/**
 * Gives `use` a folder with a Hub model's small files, and with weight files of the full length that contain only their headers; the rest
 * is empty and takes no space on the disk. So a model can be inspected without downloading its weights. The folder is removed afterwards.
 * Throws the errors of `fetchHubModel`, and `unsupported_model` for a repository of GGUF files, whose headers have no stated length.
 */
export async function withHubHeaders<T>(
  spec: HubSpec,
  options: ResolveOptions,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const { hub: name, file = null } = spec;
  const commit = await findHubCommit(spec, options);
  const hub = connectToHub(name, options.env);
  const files = chooseFiles(name, await listHubFiles(hub, { type: 'model', name }, commit), file);
  if (files.some((each) => each.path.endsWith('.gguf')))
    throw new GraftError(
      'unsupported_model',
      `${name} is a GGUF file, which is only read as a whole: download it, and inspect the file`,
      { param: 'model' },
    );
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-headers-'));
  try {
    for (const each of files.filter(({ path: at }) => !at.includes('/'))) {
      const url = modelFileUrl(hub, name, commit, each.path);
      const target = path.join(folder, each.path);
      if (each.path.endsWith('.safetensors')) await fetchHeader(hub, url, target, each, options.signal);
      else await downloadFile({ url, target, file: each, hub, onBytes: () => {}, signal: options.signal });
    }
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes the header of a safetensors file, and nothing after it, to a file of the same length. */
async function fetchHeader(
  hub: HubConnection,
  url: string,
  target: string,
  { size }: HubFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const header = await readHeader(hub, url, target, size, signal);
  const file = await open(target, 'wx');
  try {
    await file.write(header, 0, header.length, 0);
    await file.truncate(size);
  } finally {
    await file.close();
  }
}

async function readHeader(
  hub: HubConnection,
  url: string,
  target: string,
  size: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const response = await hub.fetch(url, { ...(signal && { signal }) });
  const pieces: Uint8Array[] = [];
  let received = 0;
  let needed = 8;
  // Leaving the loop cancels the rest of the body.
  for await (const piece of response.body!) {
    pieces.push(piece);
    received += piece.length;
    if (needed === 8 && received >= 8)
      needed = 8 + headerLength(path.basename(target), Buffer.concat(pieces).subarray(0, 8), size);
    if (needed > 8 && received >= needed) break;
  }
  return Buffer.concat(pieces).subarray(0, needed);
}
