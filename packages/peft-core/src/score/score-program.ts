import { type Program, ProgramBuilder, type tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import { costOf, sharedPrefixes } from '../examples/index.ts';
import type { Architecture, ModelRuntime } from '../models/architecture.ts';
import { pool, unitRows } from '../nn/pooling.ts';
import { packedForward } from '../peft-model/packed-forward.ts';
import {
  adapterTensors,
  declarePeftModel,
  type ParameterTensors,
  type PeftModel,
} from '../peft-model/peft-model.ts';
import { lastMatch } from '../text/last-match.ts';
import { invocationOf } from '../tuners/methods.ts';
import { logProbabilities } from './log-probabilities.ts';
import type { ClassifierScore, EmbeddingScore, LanguageScore } from './score.ts';

export interface ScoreLayout {
  firstPosition: number;
  pooling: 'first' | 'last' | 'mean';
  normalise: boolean;
  /** Lengths that inputs are padded to, including virtual tokens, in ascending order. */
  lengths: number[];
}

export type OwnScore = LanguageScore | ClassifierScore | EmbeddingScore;

export interface ScoreProgram {
  program: Program;
  model: PeftModel;
  /** Number of inputs that are worth scoring together; 1 if inputs share no computation. */
  atOnce: number;
  /** Scores inputs; each must fit the largest length. A common prefix is computed once if that is exact. */
  score(inputs: number[][]): OwnScore[];
}

/** A forward pass of a padded list of inputs. */
interface Forward {
  model: PeftModel;
  runtime: ModelRuntime;
  parameters: ParameterTensors;
  /** `(T, H)`, normalised. */
  hidden: tf.Tensor;
  /** `(T)` int32: the next token of the same input; 0 elsewhere. */
  next: tf.Tensor;
  /** `(T)`: each position's weight in its input's vector. */
  shares: tf.Tensor;
  /** `(T)` int32: the number of that vector. */
  vectors: tf.Tensor;
  /** Number of vectors. */
  count: number;
}

/** Builds the program. The function for each length is built at its first use. */
export function buildScoreProgram(
  architecture: Architecture,
  peft: PeftConfig | null,
  layout: ScoreLayout,
): ScoreProgram {
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, architecture, peft, 'float32');
  const { lengths } = layout;
  const invocation = peft && invocationOf(peft);
  const program = builder.build();
  const scoreOn = builder.onDemand(program, (tokens: number, count: number) => {
    const ints = { shape: [tokens], dtype: 'int32' } as const;
    const shares = { shape: [tokens], dtype: 'float32' } as const;
    const perToken = {
      ids: ints,
      segments: ints,
      parents: ints,
      positions: ints,
      next: ints,
      vectors: ints,
      active: invocation ? ints : undefined,
    };
    return builder.function(`score_${tokens}_${count}`, { ...perToken, shares }, (inputs) => {
      const { next, shares, vectors, active, ...rest } = inputs;
      const own = { ...rest, ...(active && { active }) };
      const parameters = adapterTensors(model);
      // A single input has no prefix, so `parents` is omitted.
      const { parents: _, ...apart } = own;
      const grid = { rows: 1, tokens, ...(count > 1 ? own : apart) };
      const { hidden: states, runtime } = packedForward(model, parameters, grid, null);
      const hidden = architecture.finalNorm(runtime, states);
      const forward = { model, runtime, parameters, hidden, next, shares, vectors, count };
      return { scores: scoresOf(forward, layout) };
    });
  });
  const shares = sharesBeginnings(architecture, layout);
  /** Where the adapter begins to be active in an input: after its end if it never is. */
  const firstActiveInInput = (ids: Int32Array) =>
    invocation ? (lastMatch(ids, invocation) ?? ids.length) : 0;

  return {
    program,
    model,
    atOnce: shares ? MAX_MEMBERS : 1,
    score(inputs) {
      const whole = inputs.map((ids) => Int32Array.from([...model.virtualTokens, ...ids]));
      const scores: OwnScore[] = [];
      const until = whole.map((ids) => (invocation ? firstActiveInInput(ids) : ids.length));
      for (const list of scoreLists(whole, lengths, shares, until)) {
        const { places, ...fed } = laidOut(list, whole, model.virtualTokens.length, layout);
        const active = invocation ? activeIn(list, places, whole, firstActiveInInput) : undefined;
        const feeds = { ...fed, active };
        const out = program.run(
          scoreOn(list.tokens, list.members.length > 1 ? MAX_MEMBERS : 1),
          feeds,
        ).scores;
        const [width, values] = [out.shape[1] ?? 1, out.data as Float32Array];
        const row = (i: number) => [...values.subarray(i * width, (i + 1) * width)];
        for (const [i, member] of list.members.entries()) {
          // Virtual tokens are not scored.
          const own = places[i]!.slice(model.virtualTokens.length);
          scores[member] = scoreFrom(architecture.task, row, own, i);
        }
      }
      return scores;
    },
  };
}

/** Checks whether a shared prefix has the same states in all inputs, and scores do not need pooling over it. */
function sharesBeginnings(
  { attention, encoder, recurrence, task, longOver = Number.POSITIVE_INFINITY }: Architecture,
  { pooling, lengths, firstPosition }: ScoreLayout,
): boolean {
  if (attention !== 'causal' || encoder || recurrence) return false;
  if (firstPosition + lengths.at(-1)! > longOver) return false;
  return task === 'CAUSAL_LM' || task === 'TOKEN_CLS' || pooling === 'last';
}

/** 1 for each position of a list at which the adapter is active; none of the shared ones is. */
function activeIn(
  { members, tokens }: ScoreList,
  places: readonly (readonly number[])[],
  inputs: readonly Int32Array[],
  firstActiveInInput: (ids: Int32Array) => number,
): Int32Array {
  const active = new Int32Array(tokens);
  for (const [i, member] of members.entries())
    for (const at of places[i]!.slice(firstActiveInInput(inputs[member]!))) active[at] = 1;
  return active;
}

/** The feeds of a list, and for each member the places of its positions, those of the prefix first. */
function laidOut(
  list: ScoreList,
  inputs: readonly Int32Array[],
  virtualTokens: number,
  { firstPosition, pooling }: ScoreLayout,
) {
  const { members, shared, tokens } = list;
  const ints = () => new Int32Array(tokens);
  const filled = { ids: ints(), segments: ints(), positions: ints(), next: ints(), vectors: ints() };
  const parents = ints().fill(-1);
  const shares = new Float32Array(tokens);
  let length = 0;
  /** Adds the positions [from, to) of `ids`; returns their places. */
  const put = (ids: Int32Array, from: number, to: number, segment: number, vector: number): number[] =>
    Array.from({ length: to - from }, (_, i) => {
      const [t, at] = [from + i, length++];
      filled.ids[at] = ids[t]!;
      filled.positions[at] = firstPosition + t;
      filled.segments[at] = segment;
      // Ids of virtual tokens are beyond the vocabulary.
      filled.next[at] = t + 1 < virtualTokens ? 0 : (ids[t + 1] ?? 0);
      filled.vectors[at] = vector;
      return at;
    });
  const beginning = put(inputs[members[0]!]!, 0, shared, 1, 0);
  const places = members.map((member, i) => {
    const ids = inputs[member]!;
    const own = put(ids, shared, ids.length, 2 + i, i);
    if (shared > 0) parents.fill(1, own[0]!, own.at(-1)! + 1);
    if (pooling === 'mean') shares.fill(1 / own.length, own[0]!, own.at(-1)! + 1);
    else shares[pooling === 'last' ? own.at(-1)! : own[0]!] = 1;
    return [...beginning, ...own];
  });
  return { ...filled, parents, shares, places };
}

/** The score of member number `member`, from the rows of the result; `places` are those of its tokens. */
function scoreFrom(
  task: Architecture['task'],
  row: (i: number) => number[],
  places: readonly number[],
  member: number,
): OwnScore {
  switch (task) {
    case 'SEQ_CLS':
      return { logits: row(member) };
    case 'FEATURE_EXTRACTION':
      return { embedding: row(member) };
    case 'TOKEN_CLS':
      return { logits: places.map(row) };
    default:
      return { logprobs: places.slice(0, -1).flatMap(row) };
  }
}

/** `(T)` log-probabilities of the next tokens, `(T, classes)` or `(count, classes)` logits, or vectors `(count, H)`. */
function scoresOf(forward: Forward, { normalise }: ScoreLayout): tf.Tensor {
  const { model, runtime, hidden } = forward;
  const { architecture } = model;
  // With a weight of 1 at one position, pooling selects that row.
  const pooled = () => pool(hidden, forward.vectors, forward.shares, forward.count);
  switch (architecture.task) {
    case 'TOKEN_CLS':
      return architecture.logits!(runtime, hidden);
    case 'SEQ_CLS':
      return architecture.logits!(runtime, pooled());
    case 'FEATURE_EXTRACTION':
      return normalise ? unitRows(pooled()) : pooled();
    default:
      return logProbabilities(model, runtime, forward.parameters, hidden, forward.next);
  }
}

/** Inputs that one run scores: one input, or several that share a prefix. */
interface ScoreList {
  /** Indices of the inputs. */
  members: number[];
  /** Length of the shared prefix. Each input has at least one further position. */
  shared: number;
  /** Number of positions of the run, including padding: one of the available lengths. */
  tokens: number;
}

/** Maximum length of a list of several inputs: the cost of attention is quadratic in the length. */
const LONGEST_SHARED = 1024;
/** Maximum number of inputs in a list. */
export const MAX_MEMBERS = 64;

/**
 * Divides inputs into lists. Each input must fit the largest of `lengths` (in ascending order). Inputs with a common prefix share
 * lists if that costs less than separate runs. `shares`: the prefix has the same states in all inputs; `until`: of each input, the number of
 * positions that may be shared.
 */
export function scoreLists(
  inputs: readonly Int32Array[],
  lengths: readonly number[],
  shares: boolean,
  until: readonly number[] = inputs.map(({ length }) => length),
): ScoreList[] {
  const holding = (width: number) => lengths.find((each) => each >= width)!;
  const alone = inputs.map(({ length }, i) => ({ members: [i], shared: 0, tokens: holding(length) }));
  if (!shares) return alone;
  const groups = sharedPrefixes(inputs.map((ids, i) => ({ ids, limit: Math.min(ids.length, until[i]!) })));
  const grouped = new Set<number>();
  const lists = groups.flatMap(({ members, length }) => {
    for (const member of members) grouped.add(member);
    // The next token differs after the prefix's last position, so this position belongs to each input.
    const shared = length - 1;
    const ways = lengths
      .filter((most) => most <= LONGEST_SHARED)
      .map((most) =>
        packed(inputs, members, shared, most).map((each) => listOf(inputs, each, shared, holding)),
      );
    return [members.map((member) => alone[member]!), ...ways].reduce((least, next) =>
      costOfAll(next) < costOfAll(least) ? next : least,
    );
  });
  return [...lists, ...alone.filter((_, i) => !grouped.has(i))];
}

/** Divides members into lists of at most `most` positions; a longer input gets its own list. */
function packed(inputs: readonly Int32Array[], members: number[], shared: number, most: number): number[][] {
  const lists: number[][] = [];
  let left = 0;
  for (const member of members) {
    const own = inputs[member]!.length - shared;
    if (own > left || lists.at(-1)!.length === MAX_MEMBERS) {
      lists.push([]);
      left = most - shared;
    }
    lists.at(-1)!.push(member);
    left -= own;
  }
  return lists;
}

function listOf(
  inputs: readonly Int32Array[],
  members: number[],
  shared: number,
  holding: (width: number) => number,
): ScoreList {
  const own = members.reduce((sum, member) => sum + inputs[member]!.length - shared, 0);
  return { members, shared: members.length === 1 ? 0 : shared, tokens: holding(shared + own) };
}

const costOfAll = (lists: readonly ScoreList[]): number =>
  lists.reduce((sum, { tokens }) => sum + costOf({ rows: 1, tokens, inputTokens: 0 }), 0);
