import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GraftApiError, GraftClient } from '@graft/client';
import { bytes } from '../draw/quantities.ts';
import { CommandError } from '../errors.ts';
import type { Output } from '../output.ts';
import { saveStream } from '../save-stream.ts';
import { type FileRow, fileRow } from './import-report.ts';
import { NotTaken, type OpenAiFile, type OpenAiSource } from './openai-source.ts';

/** Maximum number of files in Graft that are compared by content. */
const maxGraftFiles = 100_000;
const tries = 3;

export interface Copier {
  /** The outcome to expect, determined without reading contents. */
  preview(file: OpenAiFile): FileRow;
  /** Downloads and uploads a file unless it is already present. */
  copy(file: OpenAiFile): Promise<FileRow>;
}

interface CopierOptions {
  source: OpenAiSource;
  client: GraftClient;
  folder: string;
  maxBytes: number;
  onBadLines: 'fail' | 'skip' | undefined;
  /** SHA-256 digests from earlier runs, by OpenAI's file id. */
  known: Map<string, string>;
  output: Output;
}

/** Copies files through a local folder. The same content is never downloaded or uploaded twice, also not by a later run. */
export async function createCopier(options: CopierOptions): Promise<Copier> {
  const { source, client, folder, maxBytes, onBadLines, known, output } = options;
  const inGraft = new Map<string, string>();
  const list = client.files.list({ purpose: 'fine-tune', limit: 1000 });
  for (const file of await list.toArray(maxGraftFiles)) inGraft.set(file.sha256, file.id);

  const tooLarge = (file: OpenAiFile): FileRow =>
    fileRow(file, {
      outcome: 'left',
      why: `larger than ${bytes(maxBytes)}: raise --max-file-bytes to copy it`,
    });

  /** The row of a file whose content Graft has; null where that is not known. `sha256`: by default the digest of an earlier run. */
  const there = (file: OpenAiFile, sha256 = known.get(file.id) ?? ''): FileRow | null => {
    const graft_id = inGraft.get(sha256);
    return graft_id === undefined ? null : fileRow(file, { outcome: 'there', sha256, graft_id });
  };

  async function upload(file: OpenAiFile, path: string, sha256: string): Promise<FileRow> {
    const already = there(file, sha256);
    if (already) return already;
    try {
      const uploaded = await client.files.upload({ file: path, filename: file.filename, onBadLines });
      // The digest that Graft computed must equal that of the download.
      if (uploaded.sha256 !== sha256) throw new CommandError(`${uploaded.id} arrived in Graft changed.`);
      inGraft.set(sha256, uploaded.id);
      return fileRow(file, { sha256, graft_id: uploaded.id });
    } catch (error) {
      const { name, status, message } = error as GraftApiError;
      if (name !== 'GraftApiError' || ![400, 413].includes(status)) throw error;
      return fileRow(file, { outcome: 'left', sha256, why: `Graft rejected it: ${message}` });
    }
  }

  return {
    preview: (file) =>
      there(file) ?? (file.bytes > maxBytes ? tooLarge(file) : fileRow(file, { outcome: 'would copy' })),
    async copy(file) {
      const already = there(file);
      if (already) return already;
      if (file.bytes > maxBytes) return tooLarge(file);
      const path = join(folder, 'files', `${file.id}.jsonl`);
      try {
        const kept = await digestOf(path, file.bytes);
        const wanted = known.get(file.id);
        const sha256 =
          kept !== null && (wanted === undefined || wanted === kept)
            ? kept
            : await downloadPatiently(source, file, path, output);
        return await upload(file, path, sha256);
      } catch (error) {
        if (!(error instanceof NotTaken)) throw error;
        const hint = error.again ? '' : ` (or put your own copy at ${path} and run this again)`;
        return fileRow(file, { outcome: error.again ? 'failed' : 'left', why: `${error.message}${hint}` });
      }
    },
  };
}

/** SHA-256 of a file; null where there is none of this length. */
async function digestOf(path: string, length: number): Promise<string | null> {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size !== length) return null;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function downloadPatiently(
  source: OpenAiSource,
  file: OpenAiFile,
  path: string,
  output: Output,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await download(source, file, path);
    } catch (error) {
      if (!(error instanceof NotTaken) || !error.again || attempt === tries) throw error;
      output.note(`${file.id} was interrupted (${error.message}); retrying.`);
      await sleep(1000 * 2 ** (attempt - 1));
    }
  }
}

/** Downloads a file and returns its SHA-256. The file appears only when it is complete and has the announced size. */
async function download(source: OpenAiSource, file: OpenAiFile, path: string): Promise<string> {
  mkdirSync(join(path, '..'), { recursive: true });
  const hash = createHash('sha256');
  let size = 0;
  async function* checked() {
    for await (const chunk of source.content(file.id)) {
      size += chunk.byteLength;
      if (size > file.bytes) throw new NotTaken(`longer than its announced ${file.bytes} bytes`, true);
      hash.update(chunk);
      yield chunk;
    }
    if (size < file.bytes) throw new NotTaken(`ended after ${size} of ${file.bytes} bytes`, true);
  }
  await saveStream(checked(), path);
  return hash.digest('hex');
}
