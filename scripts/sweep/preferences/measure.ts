import { type Generator, scorePreferences } from '@graft/peft-core';
import { parseJsonl } from '@graft/peft-core/examples';
import type { BaseModel } from '@graft/peft-core/files';
import type { Pair } from './pairs.ts';
import type { Measures } from './results.ts';

/** Log-probabilities of both answers of a pair. */
export interface PairScore {
  chosen: number;
  rejected: number;
  /** Of the chosen answer. */
  tokens: number;
}

export async function scorePairs(
  base: BaseModel,
  adapterDir: string,
  pairs: readonly Pair[],
): Promise<PairScore[]> {
  const { examples } = parseJsonl(pairs.map((pair) => JSON.stringify(pair)));
  const scores: PairScore[] = [];
  for await (const { chosen, rejected } of scorePreferences({ base, adapterDir, examples }))
    scores.push({ chosen: chosen.logprob, rejected: rejected.logprob, tokens: chosen.logprobs.length });
  return scores;
}

/** @param before scores of the start; null: these are they */
export function measuresOf(
  scores: readonly PairScore[],
  before: readonly PairScore[] | null,
): Omit<Measures, 'right'> {
  const share = (holds: (score: PairScore, i: number) => boolean) =>
    round(scores.filter(holds).length / scores.length);
  const sum = (amountOf: (score: PairScore, i: number) => number) =>
    scores.reduce((total, score, i) => total + amountOf(score, i), 0);
  const margin = ({ chosen, rejected }: PairScore, i: number) =>
    chosen - before![i]!.chosen - (rejected - before![i]!.rejected);
  return {
    accuracy: before && share((score, i) => margin(score, i) > 0),
    preferred: share(({ chosen, rejected }) => chosen > rejected),
    margin: before && round(sum(margin) / scores.length),
    logp: round(sum(({ chosen }) => chosen) / sum(({ tokens }) => tokens)),
    pairs: scores.length,
  };
}

const round = (value: number) => Number(value.toPrecision(4));

/** How many greedy answers are the chosen ones: texts character for character, calls by name and arguments. */
export async function countRight(
  generator: Generator,
  adapter: string,
  pairs: readonly Pair[],
): Promise<number> {
  // No token of these answers is shorter than one and a half characters on average.
  const longest = Math.max(...pairs.map(({ chosen }) => JSON.stringify(chosen).length / 1.5));
  const answers = await Promise.all(
    pairs.map((pair) => answerTo(generator, adapter, pair, Math.ceil(longest))),
  );
  return pairs.filter((pair, i) => answers[i] === wantedOf(pair)).length;
}

function wantedOf({ chosen }: Pair): string {
  if (typeof chosen === 'string') return chosen.trim();
  const { content = '', tool_calls: calls = [] } = chosen[0]!;
  return calls.length > 0 ? callText(calls[0]!.function.name, calls[0]!.function.arguments) : content.trim();
}

/** Arguments in any order; null: they are no JSON. */
function callText(name: string, given: string): string {
  const sorted = (value: unknown): unknown =>
    typeof value !== 'object' || value === null || Array.isArray(value)
      ? value
      : Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, part]) => [key, sorted(part)]);
  try {
    return JSON.stringify([name, sorted(JSON.parse(given))]);
  } catch {
    return '';
  }
}

async function answerTo(
  generator: Generator,
  adapter: string,
  pair: Pair,
  max_tokens: number,
): Promise<string> {
  const request = {
    adapter,
    max_tokens,
    ...(typeof pair.prompt === 'string' ? { prompt: pair.prompt } : { messages: pair.prompt as never }),
    ...('tools' in pair && { tools: pair.tools as never }),
  };
  let text = '';
  const calls: { name: string; arguments: string }[] = [];
  for await (const piece of generator.generate(request)) {
    text += piece.text;
    for (const { index, name, arguments: part } of piece.calls ?? []) {
      calls[index] ??= { name: name ?? '', arguments: '' };
      calls[index].arguments += part;
    }
  }
  if (!('tools' in pair)) return text.trim();
  return calls.length === 1 ? callText(calls[0]!.name, calls[0]!.arguments) : '';
}
