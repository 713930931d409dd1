import { createThread, ThreadTimeout } from '@graft/peft-core/threads';
import { Random } from '../../packages/peft-core/src/random.ts';
import { type Case, caseOf, type Kind } from './cases.ts';
import type { End } from './fuzz-thread.ts';

export interface Found {
  kind: Kind;
  seed: number;
  number: number;
  what: string;
  case: Case;
}

/** Heap of the thread, and processor time of one case: backstops that no case may reach. */
const heapMb = 512;
const processorMs = 20_000;
/** Characters of an error with its details. */
const longestError = 30_000;

/**
 * Reads random cases of one kind. Each must be read, or refused by a short error that is the user's fault: anything else is returned, with what
 * is needed to repeat it.
 */
export async function fuzz(
  kind: Kind,
  { seed, from = 0, isOver }: { seed: number; from?: number; isOver(done: number): boolean },
): Promise<{ ends: Map<string, number>; found: Found[] }> {
  const thread = createThread<Case, End>(new URL('fuzz-thread.ts', import.meta.url), heapMb, {
    idleMs: null,
  });
  const ends = new Map<string, number>();
  const found: Found[] = [];
  try {
    for (let number = from; !isOver(number - from); number++) {
      const one = caseOf(kind, new Random(seed, 'test', number));
      const what = await thread.call(one, { ms: 10 * processorMs, processorMs }).then(faultOf, faultOfThread);
      const end = what ?? 'as expected';
      ends.set(end, (ends.get(end) ?? 0) + 1);
      if (what) found.push({ kind, seed, number, what, case: one });
    }
  } finally {
    await thread.close();
  }
  return { ends, found };
}

function faultOf(end: End): string | null {
  if (end === 'read') return null;
  if (!end.isUsers) return `${end.code} is no fault of the user`;
  return end.characters > longestError ? `${end.code} has ${end.characters} characters` : null;
}

const faultOfThread = (error: Error): string =>
  error instanceof ThreadTimeout
    ? `takes more than ${processorMs / 1000} s of a processor`
    : `${error.name}: ${error.message}`;
