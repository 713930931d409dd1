import { type FileObject, GraftApiError, type UploadObject } from '@graft/client';
import { createStore } from '../components/store.ts';
import { graft } from './graft.ts';
import { queryClient } from './query-client.ts';

/** An upload, which continues while the user visits other pages. */
export interface Upload {
  id: number;
  name: string;
  bytes: number;
  /** `checking`: all parts are sent, and the server validates the lines. `refused`: invalid lines, or a quota is exceeded. */
  state: 'waiting' | 'uploading' | 'checking' | 'stopped' | 'refused' | 'done';
  /** Bytes received by the server. */
  sent: number;
  /** Why it was refused or interrupted. */
  error: unknown;
  file: FileObject | null;
}

export interface UploadOptions {
  /** Which column of the file each field is in; default: as recognised. */
  columns?: Record<string, string> | undefined;
  /** `skip` accepts a file with invalid lines, for jobs that leave them out. */
  onBadLines?: 'fail' | 'skip' | undefined;
  onDone?: ((file: FileObject) => void) | undefined;
}

interface UploadTask {
  source: File;
  options: UploadOptions;
  stop: AbortController;
  upload: UploadObject | null;
}

const uploads = createStore<readonly Upload[]>([]);
const tasks = new Map<number, UploadTask>();
let nextId = 1;

/** All uploads since the page was loaded, oldest first. */
export const useUploads = uploads.use;

const change = (id: number, changes: Partial<Upload>) =>
  uploads.set(uploads.get().map((each) => (each.id === id ? { ...each, ...changes } : each)));

/** The file of an upload, and how it is uploaded; undefined for one that was discarded. */
export const uploadedSource = (id: number): { source: File; options: UploadOptions } | undefined =>
  tasks.get(id);

/** Uploads files one after the other. Returns the ids of the uploads. */
export function uploadFiles(sources: Iterable<File>, options: UploadOptions = {}): number[] {
  const ids: number[] = [];
  for (const source of sources) {
    const id = nextId++;
    ids.push(id);
    tasks.set(id, { source, options, stop: new AbortController(), upload: null });
    const { name, size: bytes } = source;
    uploads.set([...uploads.get(), { id, name, bytes, state: 'waiting', sent: 0, error: null, file: null }]);
  }
  void uploadNext();
  return ids;
}

/** Resumes an upload. Parts that the server already has are not sent again. */
export function resumeUpload(id: number): void {
  tasks.get(id)!.stop = new AbortController();
  change(id, { state: 'waiting', error: null });
  void uploadNext();
}

export const stopUpload = (id: number): void => tasks.get(id)?.stop.abort();

/** Removes an upload from the list, and its parts from the server unless it is done. */
export async function discardUpload(id: number): Promise<void> {
  const task = tasks.get(id);
  const isDone = uploads.get().some((each) => each.id === id && each.state === 'done');
  uploads.set(uploads.get().filter((each) => each.id !== id));
  tasks.delete(id);
  if (isDone || !task?.upload) return;
  await graft.uploads.cancel(task.upload.id).catch(() => {});
  await queryClient.invalidateQueries({ queryKey: ['uploads'] });
}

/** Asks for confirmation before the page is closed during an upload. */
addEventListener('beforeunload', (event) => {
  if (uploads.get().some(({ state }) => state === 'uploading' || state === 'waiting')) event.preventDefault();
});

/** One part is 1% of the file, so that progress is visible, and at most 16 MiB, which an interruption may lose. */
const partBytes = (bytes: number) => Math.min(16 * 2 ** 20, Math.max(2 ** 20, Math.ceil(bytes / 100)));

let isUploading = false;
async function uploadNext(): Promise<void> {
  const next = uploads.get().find(({ state }) => state === 'waiting');
  if (isUploading || !next) return;
  isUploading = true;
  try {
    await uploadFile(next.id, tasks.get(next.id)!);
  } finally {
    isUploading = false;
    void uploadNext();
  }
}

async function uploadFile(id: number, task: UploadTask): Promise<void> {
  const { source, stop } = task;
  const { columns, onBadLines, onDone } = task.options;
  try {
    if (source.size === 0) throw new EmptyFileError('The file is empty. Each line must be an example.');
    change(id, { state: 'uploading' });
    const { file } = await graft.uploads.sendFile({
      file: source,
      columns,
      onBadLines,
      partBytes: partBytes(source.size),
      signal: stop.signal,
      onUpload: (upload) => {
        task.upload = upload;
      },
      onResume: ({ sent }) => change(id, { sent }),
      onProgress: ({ sent, total }) => change(id, { sent, state: sent === total ? 'checking' : 'uploading' }),
    });
    change(id, { state: 'done', file });
    await queryClient.invalidateQueries({ queryKey: ['files'] });
    if (file) onDone?.(file);
  } catch (error) {
    const isRefused =
      error instanceof EmptyFileError ||
      (error instanceof GraftApiError && [400, 403, 413].includes(error.status));
    change(id, { state: isRefused ? 'refused' : 'stopped', error: stop.signal.aborted ? null : error });
    // Another upload of the corrected file cannot use these parts.
    if (isRefused && task.upload) await graft.uploads.cancel(task.upload.id).catch(() => {});
  }
  await queryClient.invalidateQueries({ queryKey: ['uploads'] });
}

class EmptyFileError extends Error {}
