/** Positions of a block of the cache. */
export const BLOCK = 16;

/** Blocks that hold no sequence's positions: zeros, which are never written, and what padding is written to. */
export const RESERVED = { zeros: 0, padding: 1, count: 2 } as const;

/** What a chain of blocks begins with: positions are shared only between sequences that have the same. */
export type ChainRoot = string;

/** A full block whose positions are known: another sequence with the same ones may use it. */
interface Known {
  block: number;
  key: string;
  /** The blocks that follow name it by this number, which is never used again. */
  link: number;
}

/**
 * Who has which block of the cache. Blocks that nobody has any more, and whose positions are known, stay until their room is needed:
 * the one that was let go first is taken first.
 */
export class BlockPool {
  readonly count: number;
  readonly #free: number[];
  readonly #users: Int32Array;
  readonly #byKey = new Map<string, Known>();
  readonly #byBlock = new Map<number, Known>();
  /** Known blocks without users, in the order in which they were let go. */
  readonly #idle = new Set<number>();
  #links = 0;

  constructor(count: number) {
    this.count = count;
    this.#free = Array.from({ length: count - RESERVED.count }, (_, i) => count - 1 - i);
    this.#users = new Int32Array(count);
  }

  /** Blocks that can be taken. */
  get available(): number {
    return this.#free.length + this.#idle.size;
  }

  /** Blocks of which the positions are known. */
  get known(): number {
    return this.#byKey.size;
  }

  /** An empty block; null when all are in use. */
  take(): number | null {
    const block = this.#free.pop() ?? this.#forgetOldest();
    if (block === null) return null;
    this.#users[block] = 1;
    return block;
  }

  /** The blocks that hold the beginning of `ids`, as far as they are known, now used once more. */
  takeKnown(root: ChainRoot, ids: readonly number[]): { blocks: number[]; link: string } {
    const blocks: number[] = [];
    let link = root;
    for (let at = 0; at + BLOCK <= ids.length; at += BLOCK) {
      const known = this.#byKey.get(keyOf(link, ids, at));
      if (!known) break;
      this.#idle.delete(known.block);
      this.#users[known.block]!++;
      blocks.push(known.block);
      link = `${known.link}`;
    }
    return { blocks, link };
  }

  /** Makes known that `block` holds ids[at…] after `link`. Returns the link of the block that follows. */
  learn(link: string, ids: readonly number[], at: number, block: number): string {
    const key = keyOf(link, ids, at);
    const known = this.#byKey.get(key);
    if (known) return `${known.link}`;
    const learnt = { block, key, link: ++this.#links };
    this.#byKey.set(key, learnt);
    this.#byBlock.set(block, learnt);
    return `${learnt.link}`;
  }

  /** A user of each block less. The last ones are forgotten first, since they are of no use without those before. */
  release(blocks: readonly number[]): void {
    for (const block of [...blocks].reverse()) {
      if (--this.#users[block]! > 0) continue;
      if (this.#byBlock.has(block)) this.#idle.add(block);
      else this.#free.push(block);
    }
  }

  #forgetOldest(): number | null {
    for (const block of this.#idle) {
      this.#idle.delete(block);
      this.#byKey.delete(this.#byBlock.get(block)!.key);
      this.#byBlock.delete(block);
      return block;
    }
    return null;
  }
}

const keyOf = (link: string, ids: readonly number[], at: number): string =>
  `${link}:${ids.slice(at, at + BLOCK).join()}`;
