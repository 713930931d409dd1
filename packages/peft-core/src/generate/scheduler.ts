import { commonLength } from '../text/common-length.ts';
import type { AnsweringModel, GenerationProgram } from './answering-program.ts';
import { BLOCK, BlockPool } from './block-pool.ts';
import { FairRows } from './fair-rows.ts';
import type { Sequence } from './sequence.ts';
import type { ChoosingFunctions, ModelFunctions, Piece } from './step.ts';

type OwnPiece = Piece & { sequence: Sequence };

/**
 * Answers many sequences at once. Each step takes one token of every answer, and reads a part of the prompts that have come: sequences
 * come and go between steps. Where there are more of them than a step has rows, teams take turns; where the cache has no
 * room left, the youngest give theirs up and begin again later, with the same text.
 */
export class Scheduler {
  readonly #program: GenerationProgram;
  readonly #pool: BlockPool;
  readonly #rows = new FairRows<Sequence>();
  /** In the order in which they came. */
  readonly #sequences = new Set<Sequence>();

  constructor(program: GenerationProgram) {
    this.#program = program;
    this.#pool = new BlockPool(program.blocks);
  }

  get isIdle(): boolean {
    return this.#sequences.size === 0;
  }

  add(sequence: Sequence): void {
    this.#sequences.add(sequence);
  }

  /** Its row and its blocks are free at once. */
  remove(sequence: Sequence): void {
    if (!this.#sequences.delete(sequence)) return;
    this.#pause(sequence);
    sequence.served.release();
  }

  failAll(reason: unknown): void {
    for (const sequence of this.#sequences) sequence.fail(reason);
  }

  /** Computes as much as one step can. A fault ends the sequences that have it, and no others. */
  async step(): Promise<void> {
    const byModel = new Map<AnsweringModel | string, Sequence[]>();
    for (const sequence of this.#rows.pick([...this.#sequences], this.#program.rows)) {
      const { model, updates, adapter } = sequence.served;
      // Others of the same shape have values of their own.
      const key = updates || adapter === null ? model : adapter;
      byModel.set(key, [...(byModel.get(key) ?? []), sequence]);
    }
    for (const group of byModel.values()) {
      const going = () => group.filter((sequence) => this.#sequences.has(sequence) && !sequence.isOver);
      try {
        await group[0]!.served.ready();
      } catch (error) {
        // Only adapters that are alone in their group have values to set.
        for (const sequence of going()) sequence.fail(error);
      }
      this.#compute(going());
    }
    for (const sequence of this.#sequences) if (sequence.isOver) this.remove(sequence);
  }

  /** Sequences of one model. */
  #compute(group: readonly Sequence[]): void {
    const begun = group.filter(
      (sequence) => sequence.blocks.length > 0 || (!this.#isBeingRead(sequence) && this.#mayBegin(sequence)),
    );
    let room = this.#program.promptPositions;
    const pieces: OwnPiece[] = [];
    for (const sequence of begun) {
      const left = sequence.ids.length - sequence.computed;
      const count = left === 1 ? 1 : Math.min(left, room);
      if (count === 0 || !this.#reserve(sequence, sequence.computed + count)) continue;
      if (left > 1) room -= count;
      const { ids, computed: start, blocks, encoded: input, served } = sequence;
      pieces.push({
        sequence,
        ids: ids.slice(start, start + count),
        start,
        blocks,
        updates: served.updates,
        input,
      });
    }
    // Some may have lost their blocks to those that came before them.
    const held = pieces.filter(({ sequence }) => sequence.blocks.length > 0);
    const [first] = held;
    if (!first) return;
    const { model } = first.sequence.served;
    if ('choose' in model) this.#choose(model, held);
    else this.#answer(model, held);
  }

  /** On a card. */
  #choose(model: ChoosingFunctions, held: readonly OwnPiece[]): void {
    const isLast = ({ sequence, start, ids }: OwnPiece) => start + ids.length === sequence.ids.length;
    const found = eachApart(held, (some) =>
      model
        .choose(some.map((piece) => ({ ...piece, ask: isLast(piece) ? piece.sequence.ask() : null })))
        .map((chosen) => ({ chosen })),
    );
    for (const [i, { sequence, ids }] of held.entries()) {
      if (!found[i]) continue;
      sequence.computed += ids.length;
      this.#learn(sequence);
      const { chosen } = found[i];
      if (chosen) sequence.take(chosen);
    }
  }

  #answer(model: ModelFunctions, held: readonly OwnPiece[]): void {
    const hidden = eachApart(held, (pieces) => model.compute(pieces));
    const read: { piece: Piece; hidden: Float32Array; sequence: Sequence }[] = [];
    for (const [i, piece] of held.entries()) {
      const { sequence } = piece;
      if (!hidden[i]) continue;
      sequence.computed += piece.ids.length;
      this.#learn(sequence);
      if (sequence.computed === sequence.ids.length) read.push({ piece, hidden: hidden[i], sequence });
    }
    if (read.length === 0) return;
    const logits = eachApart(read, (some) =>
      model.logits(
        some.map(({ hidden }) => hidden),
        some.map(({ piece }) => piece),
      ),
    );
    for (const [i, { sequence }] of read.entries()) if (logits[i]) sequence.answer(logits[i]);
  }

  #mayBegin(sequence: Sequence): boolean {
    try {
      return this.#begin(sequence);
    } catch (error) {
      sequence.fail(error);
      return false;
    }
  }

  /** Whether another is reading blocks that it begins with, too: they are known soon, and are not computed twice. */
  #isBeingRead({ ids, input, team, served }: Sequence): boolean {
    if (input) return false;
    for (const other of this.#sequences) {
      if (other.blocks.length === 0 || other.team !== team || other.served.adapter !== served.adapter)
        continue;
      const common = Math.min(commonLength(other.ids, ids), ids.length - 1);
      const shared = Math.floor(common / BLOCK) * BLOCK;
      if (other.computed < shared) return true;
    }
    return false;
  }

  /** Gives it blocks, of which the first may be known. False while there are not enough. */
  #begin(sequence: Sequence): boolean {
    const { ids, served, input } = sequence;
    const { model } = served.model;
    const prefix = model.attachment?.prefixLength ?? 0;
    if (!input) {
      // The last position is computed in any case: what comes next is read from it.
      const known = this.#pool.takeKnown(rootOf(sequence), ids.slice(0, -1));
      const found = known.blocks.length * BLOCK;
      if (found >= prefix)
        Object.assign(sequence, { ...known, computed: found, learnt: known.blocks.length });
      else this.#pool.release(known.blocks);
    }
    const wanted = blocksFor(ids.length + 1) - sequence.blocks.length + blocksFor(input?.length ?? 0);
    if (this.#pool.available < wanted) {
      this.#pause(sequence);
      return false;
    }
    if (sequence.computed === 0) sequence.link = rootOf(sequence);
    sequence.foundKnown(sequence.computed);
    this.#reserve(sequence, ids.length);
    if (input) {
      const blocks = Array.from({ length: blocksFor(input.length) }, () => this.#pool.take()!);
      sequence.encoded = { blocks, length: input.length };
      served.model.encode(input, blocks);
    }
    if (sequence.computed < prefix) {
      served.model.prime(sequence.blocks);
      sequence.computed = prefix;
    }
    return true;
  }

  /** Blocks for its first `positions`; the youngest of all lose theirs for it. False: it is the youngest itself. */
  #reserve(sequence: Sequence, positions: number): boolean {
    while (sequence.blocks.length < blocksFor(positions)) {
      const block = this.#pool.take();
      if (block !== null) {
        sequence.blocks.push(block);
        continue;
      }
      const youngest = [...this.#sequences].findLast(({ blocks }) => blocks.length > 0)!;
      this.#pause(youngest);
      if (youngest === sequence) return false;
    }
    return true;
  }

  #pause(sequence: Sequence): void {
    this.#pool.release([...sequence.blocks, ...(sequence.encoded?.blocks ?? [])]);
    Object.assign(sequence, { blocks: [], encoded: null, computed: 0, learnt: 0 });
  }

  /** Whoever begins alike need not compute the blocks that are full now. */
  #learn(sequence: Sequence): void {
    if (sequence.input) return;
    for (; (sequence.learnt + 1) * BLOCK <= sequence.computed; sequence.learnt++) {
      const block = sequence.blocks[sequence.learnt]!;
      sequence.link = this.#pool.learn(sequence.link, sequence.ids, sequence.learnt * BLOCK, block);
    }
  }
}

/**
 * What `run` computes of all at once, or of each alone where that fails: what one of them cannot have computed then fails for it alone.
 * A run that failed is repeated safely, since it writes the same positions again.
 */
function eachApart<T extends { sequence: Sequence }, R>(
  all: readonly T[],
  run: (some: readonly T[]) => R[],
): (R | null)[] {
  try {
    return run(all);
  } catch (error) {
    if (all.length > 1) return all.flatMap((one) => eachApart([one], run));
    all[0]!.sequence.fail(error);
    return [null];
  }
}

const blocksFor = (positions: number): number => Math.ceil(positions / BLOCK);

/** A team's own, so that nobody learns from the time of an answer what another team has asked. */
const rootOf = ({ team, served }: Sequence): string => JSON.stringify([team, served.adapter]);
