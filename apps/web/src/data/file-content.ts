import { graft } from './graft.ts';

/** Bytes that are held by the page before the browser stores them. */
const heldBytes = 4 * 2 ** 20;

/** Downloads a file. The browser stores it, outside of the page's memory. `onProgress` is called with the bytes received. */
export async function fileContent(
  id: string,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (received: number) => void },
): Promise<Blob> {
  const stored: Blob[] = [];
  let held: BlobPart[] = [];
  let holding = 0;
  let received = 0;
  for await (const chunk of (await graft.files.content(id, { signal })).bytes()) {
    held.push(chunk as Uint8Array<ArrayBuffer>);
    holding += chunk.length;
    received += chunk.length;
    if (holding < heldBytes) continue;
    stored.push(new Blob(held));
    held = [];
    holding = 0;
    onProgress(received);
  }
  return new Blob([...stored, ...held]);
}
