import { type FileObject, GraftApiError, type UploadObject } from '@graft/client';
import { useEffect, useState } from 'preact/hooks';
import { graft } from './graft.ts';
import { queryClient } from './query-client.ts';

/** A file on its way into Graft, whichever page is shown meanwhile. */
export interface Sending {
  id: number;
  name: string;
  bytes: number;
  /** `checking`: all is there, and its lines are read. `refused`: they are no examples, or there is no room for them. */
  state: 'waiting' | 'sending' | 'checking' | 'stopped' | 'refused' | 'done';
  /** Bytes that are there. */
  sent: number;
  /** Why it was refused, or stopped by itself. */
  error: unknown;
  file: FileObject | null;
}

interface Work {
  source: File;
  stop: AbortController;
  upload: UploadObject | null;
  /** Told of the file that it becomes. */
  onDone: ((file: FileObject) => void) | undefined;
}

let all: readonly Sending[] = [];
const works = new Map<number, Work>();
const listeners = new Set<(all: readonly Sending[]) => void>();
let nextId = 1;

/** All that was begun since the page was loaded, oldest first. */
export function useSendings(): readonly Sending[] {
  const [shown, setShown] = useState(all);
  useEffect(() => {
    setShown(all);
    listeners.add(setShown);
    return () => void listeners.delete(setShown);
  }, []);
  return shown;
}

function show(after: readonly Sending[]): void {
  all = after;
  for (const listener of listeners) listener(all);
}

const change = (id: number, changes: Partial<Sending>) =>
  show(all.map((each) => (each.id === id ? { ...each, ...changes } : each)));

/** Sends files one after the other. */
export function sendFiles(sources: Iterable<File>, onDone?: (file: FileObject) => void): void {
  for (const source of sources) {
    const id = nextId++;
    works.set(id, { source, stop: new AbortController(), upload: null, onDone });
    const { name, size: bytes } = source;
    show([...all, { id, name, bytes, state: 'waiting', sent: 0, error: null, file: null }]);
  }
  void sendNext();
}

/** Goes on where it was: parts that are there are not sent again. */
export function goOn(id: number): void {
  works.get(id)!.stop = new AbortController();
  change(id, { state: 'waiting', error: null });
  void sendNext();
}

export const stop = (id: number): void => works.get(id)?.stop.abort();

/** Forgets it, and on the server what is there of it. */
export async function forget(id: number): Promise<void> {
  const work = works.get(id);
  const isOver = all.some((each) => each.id === id && each.state === 'done');
  show(all.filter((each) => each.id !== id));
  works.delete(id);
  if (isOver || !work?.upload) return;
  await graft.uploads.cancel(work.upload.id).catch(() => {});
  await queryClient.invalidateQueries({ queryKey: ['uploads'] });
}

/** Whoever leaves the page while something is sent is asked. */
addEventListener('beforeunload', (event) => {
  if (all.some(({ state }) => state === 'sending' || state === 'waiting')) event.preventDefault();
});

/** A hundredth of the file is a step of the meter; what a cut costs is at most 16 MiB. */
const partBytes = (bytes: number) => Math.min(16 * 2 ** 20, Math.max(2 ** 20, Math.ceil(bytes / 100)));

let isSending = false;
async function sendNext(): Promise<void> {
  const next = all.find(({ state }) => state === 'waiting');
  if (isSending || !next) return;
  isSending = true;
  try {
    await send(next.id, works.get(next.id)!);
  } finally {
    isSending = false;
    void sendNext();
  }
}

async function send(id: number, work: Work): Promise<void> {
  const { source, stop } = work;
  try {
    if (source.size === 0) throw new Refusal('The file is empty: each of its lines must be an example.');
    change(id, { state: 'sending' });
    const { file } = await graft.uploads.sendFile({
      file: source,
      partBytes: partBytes(source.size),
      signal: stop.signal,
      onUpload: (upload) => {
        work.upload = upload;
      },
      onResume: ({ sent }) => change(id, { sent }),
      onProgress: ({ sent, total }) => change(id, { sent, state: sent === total ? 'checking' : 'sending' }),
    });
    change(id, { state: 'done', file });
    await queryClient.invalidateQueries({ queryKey: ['files'] });
    if (file) work.onDone?.(file);
  } catch (error) {
    const isRefused =
      error instanceof Refusal || (error instanceof GraftApiError && [400, 403, 413].includes(error.status));
    change(id, { state: isRefused ? 'refused' : 'stopped', error: stop.signal.aborted ? null : error });
    // The file must be another one, which these parts are none of.
    if (isRefused && work.upload) await graft.uploads.cancel(work.upload.id).catch(() => {});
  }
  await queryClient.invalidateQueries({ queryKey: ['uploads'] });
}

class Refusal extends Error {}
