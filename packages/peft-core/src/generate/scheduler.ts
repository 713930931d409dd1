import { commonLength } from '../text/common-length.ts';
import { alike, chainOf } from './activation/activation.ts';
import type { AnsweringModel, GenerationProgram } from './answering-program.ts';
import { BLOCK, BlockPool, RESERVED } from './block-pool.ts';
import type { Sequence } from './sequence.ts';
import { SequenceState } from './states/recurrent-states.ts';
import type { ChoosingFunctions, ModelFunctions, Piece } from './step.ts';
import { FairRows } from './turns/fair-rows.ts';

type OwnPiece = Piece & { sequence: Sequence };

/**
 * Answers many sequences at once. Each step computes one token of every answer, and a part of the waiting prompts: sequences
 * are added and removed between steps. If there are more sequences than rows in a step, teams take turns; if the cache is
 * full, the youngest sequences of the team with the most blocks for its weight release them and start again later, with the same text. A team
 * with less than its share of the blocks, or of the states, does not wait until the answers of others end.
 */
export class Scheduler {
  readonly program: GenerationProgram;
  readonly #pool: BlockPool;
  readonly #rows = new FairRows<Sequence>();
  readonly #prompts = new FairRows<Sequence>();
  /** Numbers of unused states; null if the model has none. */
  readonly #states: number[] | null;
  /** True where a sequence could not start in this step. */
  #isFull = false;
  /** In order of arrival. */
  readonly #sequences = new Set<Sequence>();
  #onChange = () => {};

  constructor(program: GenerationProgram) {
    this.program = program;
    this.#pool = new BlockPool(program.blocks);
    this.#states = program.states && Array.from({ length: program.states.sequences }, (_, i) => i);
  }

  get isIdle(): boolean {
    return this.#sequences.size === 0;
  }

  add(sequence: Sequence): void {
    this.#sequences.add(sequence);
    this.#onChange();
  }

  /** Frees the sequence's row and blocks immediately. */
  remove(sequence: Sequence): void {
    if (!this.#sequences.delete(sequence)) return;
    this.#pause(sequence);
    sequence.release();
    this.#onChange();
  }

  failAll(reason: unknown): void {
    for (const sequence of this.#sequences) sequence.fail(reason);
  }

  /** Runs one step. An error fails only the sequences that cause it. */
  async step(): Promise<void> {
    this.#isFull = false;
    const byModel = new Map<AnsweringModel | string, Sequence[]>();
    const ready = this.#withState(
      [...this.#sequences].filter((sequence) => sequence.isReady('choose' in sequence.served.model)),
    );
    if (ready.length === 0) await this.#change();
    const picked = this.#rows.pick(ready, this.program.rows);
    // Prompts take turns, too: the long prompt of one team does not delay the first token of another.
    const prompts = this.#prompts.order(picked.filter((sequence) => leftOf(sequence) > 1));
    for (const sequence of [...picked.filter((each) => leftOf(each) === 1), ...prompts]) {
      const { model, updates, adapter } = sequence.served;
      // Other adapters of the same shape have different values.
      const key = updates || adapter === null ? model : adapter;
      byModel.set(key, [...(byModel.get(key) ?? []), sequence]);
    }
    for (const group of byModel.values()) {
      const going = () => group.filter((sequence) => this.#sequences.has(sequence) && !sequence.isOver);
      try {
        await group[0]!.served.ready();
      } catch (error) {
        // Only a group with a single adapter has values to set.
        for (const sequence of going()) sequence.fail(error);
      }
      this.#compute(going());
    }
    for (const sequence of this.#sequences) if (sequence.isOver) this.remove(sequence);
  }

  /** The sequences that have a state, and as many others, in order of arrival, as can get one: also that of a team with more of them. */
  #withState(sequences: Sequence[]): Sequence[] {
    if (!this.#states) return sequences;
    const without = sequences.filter(({ state }) => state === null);
    let free = this.#states.length;
    const starting = new Set<Sequence>();
    for (const sequence of without) {
      if (free <= 0) {
        const last = this.#lastInTurn(statesOf);
        if (!last) break;
        const more = [...starting].filter(({ team }) => team === sequence.team).length + 1;
        const own = this.#held(statesOf, sequence) + more / sequence.weight;
        if (this.#held(statesOf, last) <= own) continue;
        this.#pause(last);
        free++;
      }
      free--;
      starting.add(sequence);
    }
    return sequences.filter((sequence) => sequence.state !== null || starting.has(sequence));
  }

  /** Sum of `amountOf` over the sequences of a sequence's team, divided by the team's weight. */
  #held(amountOf: (sequence: Sequence) => number, { team, weight }: Sequence): number {
    let sum = 0;
    for (const each of this.#sequences) if (each.team === team) sum += amountOf(each);
    return sum / weight;
  }

  /** The youngest sequence of the team that holds the most for its weight; undefined: none holds anything. */
  #lastInTurn(amountOf: (sequence: Sequence) => number): Sequence | undefined {
    const youngest = new Map<string, Sequence>();
    for (const each of this.#sequences) if (amountOf(each) > 0) youngest.set(each.team, each);
    let last: Sequence | undefined;
    // In the order of their arrival, so that of teams with equally much the youngest is the last.
    for (const each of this.#sequences)
      if (
        youngest.get(each.team) === each &&
        (!last || this.#held(amountOf, each) >= this.#held(amountOf, last))
      )
        last = each;
    return last;
  }

  /**
   * Checks whether the team of a sequence would have at most its share of the cache with `blocks` more: then other teams, which have more,
   * release theirs.
   */
  #isInShare(sequence: Sequence, blocks: number): boolean {
    const weights = new Map([...this.#sequences].map(({ team, weight }) => [team, weight]));
    const all = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
    const usable = this.#pool.count - RESERVED.count;
    return this.#held(blocksOf, sequence) + blocks / sequence.weight <= usable / all;
  }

  /** Makes other teams release blocks until `wanted` are available. False if the team of the sequence has more than its share. */
  #freeBlocks(sequence: Sequence, wanted: number): boolean {
    if (!this.#isInShare(sequence, wanted)) return false;
    while (this.#pool.available < wanted) {
      const last = this.#lastInTurn(blocksOf);
      if (!last || last.team === sequence.team) return false;
      this.#pause(last);
    }
    return true;
  }

  /** The number of positions of the next piece of a sequence, of which `left` are not computed; 0: none in this step. */
  #pieceOf({ computed }: Sequence, left: number, positions: number): number {
    if (left === 1) return 1;
    if (!this.program.states) return Math.min(left, positions);
    const { piece } = this.program.states;
    const whole = Math.min(left, piece - (computed % piece));
    return whole <= positions ? whole : 0;
  }

  /** Resolves when a sequence was added or removed, or may be ready. */
  async #change(): Promise<void> {
    const changed = new Promise<void>((resolve) => {
      this.#onChange = resolve;
    });
    await Promise.race([changed, ...[...this.#sequences].map((sequence) => sequence.ready())]);
  }

  /** Computes a step for sequences of one model. */
  #compute(group: readonly Sequence[]): void {
    // All positions of a sequence that became long are computed again, as transformers does.
    for (const sequence of group)
      if (sequence.blocks.length > 0 && sequence.becameLong !== sequence.isLong) this.#pause(sequence);
    const started = group.filter(
      (sequence) =>
        sequence.blocks.length > 0 || (!this.#waitsForPrefix(sequence) && this.#canStart(sequence)),
    );
    let positions = this.program.promptPositions;
    const pieces: OwnPiece[] = [];
    for (const sequence of started) {
      const left = leftOf(sequence);
      const count = this.#pieceOf(sequence, left, positions);
      // An earlier sequence may have taken this one's blocks, and its state with them.
      if (count === 0 || (this.#states && !sequence.state)) continue;
      if (!this.#reserve(sequence, sequence.computed + count)) continue;
      if (left > 1) {
        positions -= count;
        this.#prompts.charge(sequence, count);
      }
      const { ids, computed: start, blocks, encoded: input, served, activeFrom } = sequence;
      pieces.push({
        sequence,
        ids: ids.slice(start, start + count),
        start,
        length: sequence.ids.length,
        blocks,
        updates: served.updates,
        activeFrom,
        input,
        state: sequence.state?.places(start),
      });
    }
    // Some sequences may have lost their blocks to earlier ones.
    const held = pieces.filter(({ sequence }) => sequence.blocks.length > 0);
    const [first] = held;
    if (!first) return;
    const { model } = first.sequence.served;
    if ('choose' in model) this.#choose(model, held);
    else this.#answer(model, held);
  }

  /** For a GPU. */
  #choose(model: ChoosingFunctions, held: readonly OwnPiece[]): void {
    const isLast = ({ sequence, start, ids }: OwnPiece) => start + ids.length === sequence.ids.length;
    const found = eachApart(held, (some) =>
      model
        .choose(
          some.map((piece) => ({
            ...piece,
            ask: isLast(piece) ? piece.sequence.ask(model.vocabulary) : null,
          })),
        )
        .map((chosen) => ({ chosen })),
    );
    for (const [i, { sequence, ids }] of held.entries()) {
      if (!found[i]) continue;
      sequence.computed += ids.length;
      sequence.state?.advance();
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
      sequence.state?.advance();
      this.#learn(sequence);
      if (sequence.computed === sequence.ids.length) read.push({ piece, hidden: hidden[i], sequence });
    }
    if (read.length === 0) return;
    eachApart(read, (some) => {
      const logits = model.logits(
        some.map(({ hidden }) => hidden),
        some.map(({ piece }) => piece),
      );
      return some.map(({ sequence }, i) => sequence.answer(logits[i]!));
    });
  }

  #canStart(sequence: Sequence): boolean {
    try {
      return this.#begin(sequence);
    } catch (error) {
      sequence.fail(error);
      return false;
    }
  }

  /** Checks whether another sequence is computing blocks of a common prefix: they will be cached soon, so they are not computed twice. */
  #waitsForPrefix(sequence: Sequence): boolean {
    const { ids, input, team, becameLong } = sequence;
    if (input || this.#states) return false;
    for (const other of this.#sequences) {
      if (other.isLong !== becameLong || other.blocks.length === 0 || other.team !== team) continue;
      const common = Math.min(commonLength(other.ids, ids), ids.length - 1, alike(sequence, other));
      const shared = Math.floor(common / BLOCK) * BLOCK;
      if (other.computed < shared) return true;
    }
    return false;
  }

  /** Allocates the sequence's blocks, of which the first may be cached. False while there are not enough. */
  #begin(sequence: Sequence): boolean {
    const { ids, served, input } = sequence;
    const { model } = served.model;
    sequence.isLong = sequence.becameLong;
    const prefix = model.attachment?.prefixLength ?? 0;
    if (!input && !this.#states) {
      // The last position is always computed, since the next token is predicted from it.
      const known = this.#pool.takeKnown(chainOf(sequence), ids.slice(0, -1));
      const found = known.blocks.length * BLOCK;
      if (found >= prefix)
        Object.assign(sequence, { ...known, computed: found, recorded: known.blocks.length });
      else this.#pool.release(known.blocks);
    }
    const wanted = blocksFor(ids.length + 1) - sequence.blocks.length + blocksFor(input?.length ?? 0);
    // Beyond its share, no team passes a sequence that waits for room.
    const canPass = !this.#isFull || this.#isInShare(sequence, wanted);
    if (!canPass || (this.#pool.available < wanted && !this.#freeBlocks(sequence, wanted))) {
      this.#pause(sequence);
      this.#isFull = true;
      return false;
    }
    if (this.#states) {
      const number = this.#states.pop();
      if (number === undefined) return false;
      sequence.state = new SequenceState(number);
    }
    if (sequence.computed === 0) sequence.link = chainOf(sequence).root;
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

  /** Allocates blocks for the first `positions`, if needed those of the sequence that is last in turn. False if that is this sequence. */
  #reserve(sequence: Sequence, positions: number): boolean {
    while (sequence.blocks.length < blocksFor(positions)) {
      const block = this.#pool.take();
      if (block !== null) {
        sequence.blocks.push(block);
        continue;
      }
      const last = this.#lastInTurn(blocksOf)!;
      this.#pause(last);
      if (last === sequence) return false;
    }
    return true;
  }

  #pause(sequence: Sequence): void {
    this.#pool.release([...sequence.blocks, ...(sequence.encoded?.blocks ?? [])]);
    if (sequence.state) this.#states!.push(sequence.state.number);
    Object.assign(sequence, { blocks: [], encoded: null, state: null, computed: 0, recorded: 0 });
  }

  /** Caches the full blocks for other sequences with the same prefix. */
  #learn(sequence: Sequence): void {
    if (sequence.input || this.#states) return;
    for (; (sequence.recorded + 1) * BLOCK <= sequence.computed; sequence.recorded++) {
      const block = sequence.blocks[sequence.recorded]!;
      const { link, ids, recorded } = sequence;
      sequence.link = this.#pool.learn(chainOf(sequence), link, ids, recorded * BLOCK, block);
    }
  }
}

/**
 * Runs `run` on all at once or, if that fails, on each separately, so that an error fails only the sequences that cause it.
 * Repeating a failed run is safe, since it writes the same positions again.
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

const leftOf = ({ ids, computed }: Sequence): number => ids.length - computed;
const blocksOf = ({ blocks, encoded }: Sequence): number => blocks.length + (encoded?.blocks.length ?? 0);
const statesOf = ({ state }: Sequence): number => (state ? 1 : 0);
const blocksFor = (positions: number): number => Math.ceil(positions / BLOCK);
