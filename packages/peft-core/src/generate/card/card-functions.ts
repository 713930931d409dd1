import { type ProgramFunction, tf } from '@graft/tf-graph';
import { exactly } from '../../nn/computation.ts';
import { adapterTensors } from '../../peft-model/peft-model.ts';
import { activeIn } from '../activation/activation.ts';
import { BLOCK } from '../block-pool.ts';
import { cacheFunctions, PADDING } from '../cache-functions.ts';
import { gridRecurrence, type LayerStates, STATES } from '../states/recurrent-states.ts';
import {
  type ChoosingFunctions,
  type ModelParts,
  type Piece,
  type PieceToSample,
  readsLengths,
  rowsOf,
} from '../step.ts';
import { cardAttention } from './card-attention.ts';
import type { CardCaches } from './card-cache.ts';
import {
  CANDIDATES,
  type Chosen,
  chosenTokens,
  modeOf,
  NOT_FINITE,
  samplerFeeds,
  samplerInputs,
  type TokenAsk,
  WIDE,
} from './graph-sampler.ts';
import { withHeadInSlices } from './head-in-slices.ts';
import type { Found, KeptLogits } from './kept-logits.ts';
import type { LaneArena, PlacedLanes } from './lane-arena.ts';

/** Maximum number of prompt positions in a run. */
export const PROMPT_POSITIONS = 2048;

/** Tokens in a part of a prompt: a run computes parts of one size, from any prompts. */
export const PART = 128;
/** Part sizes; the small one is for the last few positions of a prompt whose others are cached. */
const STRIDES = [16, PART] as const;

export interface CardParts extends ModelParts {
  caches: CardCaches;
  states: ReadonlyMap<number, LayerStates>;
  arena: LaneArena | null;
  kept: KeptLogits;
}

const modes = ['greedy', 'whole', 'filtered'] as const;

/** A part of a sequence on a grid: at most `stride` of its positions. */
interface Part {
  piece: PieceToSample;
  ids: readonly number[];
  start: number;
  /** How to choose the token after its last position; null if none is chosen. */
  ask: TokenAsk | null;
}

/**
 * A step on a GPU: one run with a token of every sequence, and runs with parts of several prompts; each chooses the next tokens. Sizes
 * are rounded up to a few values, so that few graphs are built. The other rows of a run may change the last bits of a row's result.
 */
export function cardFunctions(parts: CardParts): ChoosingFunctions {
  const { builder, program, name, model, caches, states, limits, cache, arena, kept } = parts;
  const { architecture } = model;
  const encoded = architecture.encoder !== undefined;
  const { recurrence } = architecture;
  const { activates } = model.attachment ?? {};
  const vocabulary = architecture.vocabularySize;
  const context = Math.ceil(limits.context / BLOCK) * BLOCK;
  const windows = sizes(256, context);
  const windowFor = (positions: number) => nextOf(windows, positions);
  const rowCounts = sizes(1, limits.rows);
  const ints = (...shape: number[]) => ({ shape, dtype: 'int32' }) as const;
  const stepOn = builder.onDemand(
    program,
    (
      sequences: number,
      stride: number,
      window: number,
      memory: number,
      lanes: number,
      answers: number,
      mode: number,
      seen: number,
      likely: number,
      adjusts: number,
    ) => {
      const perToken = ints(sequences * stride);
      const sampling = modes[mode];
      const logitsKept = sampling === 'filtered' ? kept.variable(answers) : null;
      const key = [sequences, stride, window, memory, lanes, answers, mode, seen, likely, adjusts];
      const inputs = {
        ids: perToken,
        positions: perToken,
        places: perToken,
        reached: readsLengths(architecture, limits) ? perToken : undefined,
        blocks: ints(sequences, window / BLOCK),
        lengths: ints(sequences),
        from: recurrence ? ints(sequences) : undefined,
        to: recurrence ? ints(sequences) : undefined,
        counts: recurrence ? ints(sequences) : undefined,
        memoryBlocks: encoded ? ints(sequences, memory / BLOCK) : undefined,
        memoryLengths: encoded ? ints(sequences) : undefined,
        ends: answers > 0 && stride > 1 ? ints(answers) : undefined,
        owners: lanes > 0 ? perToken : undefined,
        active: activates ? perToken : undefined,
        answerOwners: lanes > 0 && answers > 0 ? ints(answers) : undefined,
        lanes: lanes > 0 ? ints(lanes) : undefined,
        laneOwners: lanes > 0 ? ({ shape: [lanes], dtype: 'float32' } as const) : undefined,
        ...samplerInputs(answers, sampling ?? 'greedy', seen, adjusts * vocabulary),
      };
      return builder.function(
        `${name}/step_${key.join('_')}`,
        inputs,
        ({ ids, positions, places, reached, blocks, lengths, memoryBlocks, memoryLengths, ends, ...given }) =>
          cache.trace(() => {
            const read = memoryBlocks ? { blocks: memoryBlocks, lengths: memoryLengths! } : null;
            const at = { sequences, positions, places, blocks, lengths, memory: read };
            const attend = cardAttention(caches, at);
            const parameters = adapterTensors(model);
            const { from, to, counts, active } = given;
            const recur =
              recurrence &&
              gridRecurrence(states, recurrence, { sequences, from: from!, to: to!, counts: counts! });
            const runtime = model.runtime({
              parameters,
              attend,
              ...(recur && { recur }),
              ...(active && { active }),
            });
            const plain = withHeadInSlices(runtime, model, parameters);
            const { lanes, laneOwners } = given;
            const updated = (owners: tf.Tensor | undefined) => {
              if (!owners) return plain;
              const perRow = tf.cast(owners, 'float32');
              return arena!.applied(plain, { owners: perRow, lanes: lanes!, laneOwners: laneOwners! });
            };
            const grid = {
              rows: sequences,
              tokens: stride,
              positions,
              cached: window,
              ...(reached ? { reached } : {}),
            };
            // The decoder's attention reads the memory's keys and values from the cache, and ignores those passed here.
            const nothing = tf.zeros([1, 1]);
            const kept = read ? { keysAndValues: () => ({ k: nothing, v: nothing }) } : undefined;
            const hidden = architecture.body(updated(given.owners), ids, grid, kept);
            if (!sampling) return {};
            const last = ends ? tf.gather(hidden, ends) : hidden;
            const head = updated(given.answerOwners);
            const logits = exactly(architecture.logits!(head, architecture.finalNorm(head, last)));
            logitsKept?.assign(logits);
            const options = { mode: sampling, candidates: CANDIDATES, likely: likely < 0 ? null : likely };
            return { ...chosenTokens(logits, given, options) };
          }),
      );
    },
  );
  /** Lanes of the adapters of `pieces`, and the index of each piece's adapter among them. */
  function lanesOf(pieces: readonly Piece[]) {
    // Only this arena places adapters of this program.
    const adapters = [...new Set(pieces.flatMap(({ updates }) => updates ?? []))] as PlacedLanes[];
    const used = adapters.reduce((sum, { size }) => sum + size, 0);
    if (!arena || used === 0) return null;
    const count = nextOf(sizes(16, Math.max(16, arena.lanes)), used);
    const lanes = new Int32Array(count);
    const laneOwners = new Float32Array(count).fill(-2);
    let at = 0;
    for (const [owner, { begin, size }] of adapters.entries())
      for (let lane = 0; lane < size; lane++) {
        lanes[at] = begin + lane;
        laneOwners[at++] = owner;
      }
    const ownerOf = ({ updates }: Piece) => (updates ? adapters.indexOf(updates as PlacedLanes) : -1);
    return { count, lanes, laneOwners, owners: pieces.map(ownerOf) };
  }

  /** Computes the parts; returns the chosen token of each part with an ask. */
  function run(all: readonly Part[], sequences: number, stride: number): (Chosen | null)[] {
    const pieces = all.map(({ piece }) => piece);
    const window = windowFor(Math.max(...all.map(endOf)));
    const memory = encoded ? windowFor(Math.max(...pieces.map(({ input }) => input!.length))) : 0;
    const { reached, ...grid } = gridOf(all, { sequences, stride, window, memory });
    // In a grid of single tokens every row has an answer; in a list of parts only those with an ask.
    const asking = [...all.keys()].filter((i) => stride === 1 || all[i]!.ask);
    const asks = asking.map((i) => all[i]!.ask ?? unasked);
    const isAsked = all.some(({ ask }) => ask !== null);
    const answers = !isAsked ? 0 : stride === 1 ? sequences : nextOf(rowCounts, asks.length);
    const mode = modeOf(asks, vocabulary);
    const [seen, likely] = isAsked ? [seenBy(asks, windows), likelyOf(asks)] : [0, -1];
    const adjusts = isAsked && asks.some(({ added }) => added) ? 1 : 0;
    const ends = new Int32Array(answers);
    for (const [at, i] of asking.entries()) ends[at] = i * stride + all[i]!.ids.length - 1;
    const adapters = lanesOf(pieces);
    const lanes = adapters?.count ?? 0;
    /** For each position of the grid: `value(i)` where the adapter of part `i` is active, else `none`. */
    const perToken = (value: (i: number) => number, none: number) => {
      const each = new Int32Array(sequences * stride).fill(none);
      for (const [i, { piece, ids, start }] of all.entries())
        for (const [n, isActive] of activeIn({ ...piece, ids, start }).entries())
          if (isActive) each[i * stride + n] = value(i);
      return each;
    };
    const answerOwners = new Int32Array(answers).fill(-1);
    if (adapters && isAsked) answerOwners.set(asking.map((i) => adapters.owners[i]!));
    const step = stepOn(
      sequences,
      stride,
      window,
      memory,
      lanes,
      answers,
      isAsked ? modes.indexOf(mode) : -1,
      seen,
      likely,
      adjusts,
    );
    const found = program.run(step as ProgramFunction, {
      ...grid,
      reached: readsLengths(architecture, limits) ? reached : undefined,
      ...(recurrence ? statesOf(all, sequences) : {}),
      ends: isAsked && stride > 1 ? ends : undefined,
      owners: adapters ? perToken((i) => adapters.owners[i]!, -1) : undefined,
      active: activates ? perToken(() => 1, 0) : undefined,
      answerOwners: adapters && isAsked ? answerOwners : undefined,
      lanes: adapters?.lanes,
      laneOwners: adapters?.laneOwners,
      ...(isAsked ? samplerFeeds(asks, answers, mode, seen, adjusts * vocabulary) : {}),
    });
    if (!isAsked) return all.map(() => null);
    const first = found as unknown as Found;
    const isWide = asks.some((_, at) => first.tokens.data[at] === WIDE);
    const exact = isWide ? kept.sortAll(asks, answers, { seen, likely, adjusts }) : first;
    const chosen = new Map(asking.map((i, at) => [i, chosenAt(exact, at, asks[at]!)]));
    return all.map(({ ask }, i) => (ask ? chosen.get(i)! : null));
  }

  return {
    vocabulary,
    choose(pieces) {
      const chosen = new Map<Piece, Chosen>();
      const note = (all: readonly Part[], found: (Chosen | null)[]) => {
        for (const [i, one] of found.entries()) if (one) chosen.set(all[i]!.piece, one);
      };
      const wholeOf = (piece: PieceToSample): Part => ({ piece, ...piece });
      const prompts = pieces.filter(({ ids }) => ids.length > 1);
      for (const stride of STRIDES) {
        const own = prompts.filter(({ ids }) => ids.length <= STRIDES[0] === (stride === STRIDES[0]));
        const cut = own.map((piece) => partsOf(piece, stride));
        const most = PROMPT_POSITIONS / stride;
        // A part with a state needs that of the part before, so that a run has one part of each prompt.
        for (const parts of recurrence ? byNumber(cut) : [cut.flat()])
          for (let from = 0; from < parts.length; from += most) {
            const some = parts.slice(from, from + most);
            note(some, run(some, nextOf(sizes(1, most), some.length), stride));
          }
      }
      const singles = pieces.filter(({ ids }) => ids.length === 1).map(wholeOf);
      for (let from = 0; from < singles.length; from += limits.rows) {
        const some = singles.slice(from, from + limits.rows);
        note(some, run(some, nextOf(rowCounts, some.length), 1));
      }
      return pieces.map((piece) => chosen.get(piece) ?? null);
    },
    ...cacheFunctions(parts, windowFor),
  };
}

/** The first parts of all pieces, then the second ones, and so on. */
function byNumber(parts: readonly Part[][]): Part[][] {
  const most = Math.max(0, ...parts.map(({ length }) => length));
  return Array.from({ length: most }, (_, number) => parts.flatMap((each) => each[number] ?? []));
}

/** The feeds of recurrent layers. */
function statesOf(parts: readonly Part[], sequences: number) {
  const from = new Int32Array(sequences).fill(STATES.zeros);
  const to = new Int32Array(sequences).fill(STATES.padding);
  const counts = new Int32Array(sequences).fill(1);
  for (const [i, { piece, ids, start }] of parts.entries()) {
    const { state } = piece;
    // The parts after the first read what the one before has written.
    from[i] = start === piece.start ? state!.from : state!.to;
    to[i] = state!.to;
    counts[i] = ids.length;
  }
  return { from, to, counts };
}

/** For a row without an ask among rows with one. */
const unasked: TokenAsk = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  uniform: 0,
  ids: [],
  logprobs: null,
};

/** Sizes that grow by a factor of four; the last is `most`. */
function sizes(first: number, most: number): number[] {
  const all: number[] = [];
  for (let size = first; size < most; size *= 4) all.push(size);
  return [...all, most];
}

const nextOf = (sizes: readonly number[], wanted: number): number => sizes.find((size) => size >= wanted)!;

/** Number of ids per row for repetition penalties; 0 if no row has a penalty. */
function seenBy(asks: readonly TokenAsk[], windows: readonly number[]): number {
  const lengths = asks.filter((ask) => ask.repetitionPenalty !== 1).map(({ ids }) => ids.length);
  return lengths.length === 0 ? 0 : nextOf(windows, Math.max(...lengths));
}

/** The API allows at most 20; −1 if none are requested. */
function likelyOf(asks: readonly TokenAsk[]): number {
  const most = Math.max(...asks.map(({ logprobs }) => logprobs ?? -1));
  return most > 0 ? Math.max(20, most) : most;
}

function partsOf(piece: PieceToSample, stride: number): Part[] {
  const { ids, start, ask } = piece;
  return Array.from({ length: Math.ceil(ids.length / stride) }, (_, i) => {
    const own = ids.slice(i * stride, (i + 1) * stride);
    const isLast = (i + 1) * stride >= ids.length;
    return { piece, ids: own, start: start + i * stride, ask: isLast ? ask : null };
  });
}

const endOf = ({ start, ids }: Part): number => start + ids.length;

/** The grid's feeds: parts of at most `stride` tokens, with a cache of which each part sees at most `window` positions. */
function gridOf(
  parts: readonly Part[],
  size: { sequences: number; stride: number; window: number; memory: number },
) {
  const { sequences, stride, window, memory } = size;
  const perToken = () => new Int32Array(sequences * stride);
  const [ids, positions, reached, places] = [perToken(), perToken(), perToken(), perToken().fill(PADDING)];
  const blocks = new Int32Array(sequences * (window / BLOCK));
  const memoryBlocks = new Int32Array(sequences * (memory / BLOCK));
  const [lengths, memoryLengths] = [new Int32Array(sequences), new Int32Array(sequences)];
  for (const [i, part] of parts.entries()) {
    const { blocks: own, input } = part.piece;
    const at = i * stride;
    ids.set(part.ids, at);
    for (let n = 0; n < part.ids.length; n++) positions[at + n] = part.start + n;
    reached.fill(part.piece.length, at, at + stride);
    places.set(rowsOf(own, part.ids.length, part.start), at);
    lengths[i] = endOf(part);
    blocks.set(own.slice(0, Math.ceil(endOf(part) / BLOCK)), i * (window / BLOCK));
    memoryLengths[i] = input?.length ?? 0;
    if (input) memoryBlocks.set(input.blocks.slice(0, memory / BLOCK), i * (memory / BLOCK));
  }
  const read = memory > 0 ? { memoryBlocks, memoryLengths } : {};
  return { ids, positions, places, reached, blocks, lengths, ...read };
}

function chosenAt(
  { tokens, logprobs, topIds, topLogprobs }: Found,
  at: number,
  { logprobs: count }: TokenAsk,
): Chosen {
  const token = tokens.data[at]!;
  if (token === NOT_FINITE) return { token: null, likely: null };
  if (count === null) return { token, likely: null };
  const width = topIds?.shape[1] ?? 0;
  const top = Array.from({ length: Math.min(count, width) }, (_, i) => ({
    id: topIds!.data[at * width + i]!,
    logprob: topLogprobs!.data[at * width + i]!,
  }));
  return { token, likely: { logprob: logprobs!.data[at]!, top } };
}
