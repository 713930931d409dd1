/** Positions in a block of the cache. */
export const BLOCK = 16;

/** Blocks that hold no sequence's positions: one with zeros, which is never written, and one for writes of padding. */
export const RESERVED = { zeros: 0, padding: 1, count: 2 } as const;

/** Everything besides the tokens that determines a sequence's cached positions: only sequences with an equal chain share blocks. */
export interface Chain {
  /** The team, which shares its blocks with no other. */
  owner: string;
  root: string;
  /** From position `at` on, `name` computes as well: what is before is shared with any sequence of the same root. */
  change: { at: number; name: string } | null;
}

/** A full block with known tokens: another sequence with the same tokens may use it. */
interface Known {
  block: number;
  owner: string;
  key: string;
  /** Identifies the block in the keys of its successors; never reused. */
  link: number;
}

/**
 * Manages the ownership of cache blocks. Unused blocks with known tokens stay until their memory is needed; of the team with the most of
 * them, the one released first is evicted first, so that many prompts of one team leave others theirs.
 */
export class BlockPool {
  readonly count: number;
  readonly #free: number[];
  readonly #users: Int32Array;
  readonly #byKey = new Map<string, Known>();
  readonly #byBlock = new Map<number, Known>();
  /** Known blocks without users by team, in order of release. */
  readonly #idle = new Map<string, Set<number>>();
  #idleCount = 0;
  #links = 0;

  constructor(count: number) {
    this.count = count;
    this.#free = Array.from({ length: count - RESERVED.count }, (_, i) => count - 1 - i);
    this.#users = new Int32Array(count);
  }

  get available(): number {
    return this.#free.length + this.#idleCount;
  }

  /** Number of blocks with known tokens. */
  get known(): number {
    return this.#byKey.size;
  }

  /** Allocates an empty block; null if all are in use. */
  take(): number | null {
    const block = this.#free.pop() ?? this.#forgetOldest();
    if (block === null) return null;
    this.#users[block] = 1;
    return block;
  }

  /** The known blocks that hold a prefix of `ids`, computed by `chain`; adds a user to each. */
  takeKnown(chain: Chain, ids: readonly number[]): { blocks: number[]; link: string } {
    const blocks: number[] = [];
    let link = chain.root;
    for (let at = 0; at + BLOCK <= ids.length; at += BLOCK) {
      const known = this.#byKey.get(keyOf(chain, link, ids, at));
      if (!known) break;
      this.#leaveIdle(known);
      this.#users[known.block]!++;
      blocks.push(known.block);
      link = `${known.link}`;
    }
    return { blocks, link };
  }

  /** Records that `block` holds the tokens ids[at…] after `link`, computed by `chain`. Returns the link for the next block. */
  learn(chain: Chain, link: string, ids: readonly number[], at: number, block: number): string {
    const key = keyOf(chain, link, ids, at);
    const known = this.#byKey.get(key);
    if (known) return `${known.link}`;
    const recorded = { block, owner: chain.owner, key, link: ++this.#links };
    this.#byKey.set(key, recorded);
    this.#byBlock.set(block, recorded);
    return `${recorded.link}`;
  }

  /** Removes a user from each block. The last blocks are evicted first, since they are useless without those before. */
  release(blocks: readonly number[]): void {
    for (const block of [...blocks].reverse()) {
      if (--this.#users[block]! > 0) continue;
      const known = this.#byBlock.get(block);
      if (known) this.#enterIdle(known);
      else this.#free.push(block);
    }
  }

  #enterIdle({ owner, block }: Known): void {
    const own = this.#idle.get(owner) ?? new Set();
    this.#idle.set(owner, own.add(block));
    this.#idleCount++;
  }

  #leaveIdle({ owner, block }: Known): void {
    const own = this.#idle.get(owner);
    if (!own?.delete(block)) return;
    this.#idleCount--;
    if (own.size === 0) this.#idle.delete(owner);
  }

  #forgetOldest(): number | null {
    if (this.#idleCount === 0) return null;
    const most = [...this.#idle.values()].reduce((most, own) => (own.size > most.size ? own : most));
    const [block] = most;
    const known = this.#byBlock.get(block!)!;
    this.#leaveIdle(known);
    this.#byKey.delete(known.key);
    this.#byBlock.delete(known.block);
    return known.block;
  }
}

/** A link is unique, so that only the block with the change must name it. */
function keyOf({ change }: Chain, link: string, ids: readonly number[], at: number): string {
  const own = `${link}:${ids.slice(at, at + BLOCK).join()}`;
  return change && change.at >= at && change.at < at + BLOCK ? `${JSON.stringify(change)}${own}` : own;
}
