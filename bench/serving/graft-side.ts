import { type Generator, openGenerator } from '@graft/peft-core';
import type { BaseModel } from '@graft/peft-core/files';
import { answerTokens, type Chat } from './chats.ts';

/** What was answered in a time: token ids by the number of the chat. */
export interface Answered {
  ids: Map<number, number[]>;
  tokens: number;
  seconds: number;
  /** Milliseconds until each answer's first token. */
  first: number[];
}

export const servedDtypes = ['fp32', 'bf16', 'int8', 'nf4'] as const;
type ServedDtype = (typeof servedDtypes)[number];
export const isServedDtype = (name: string): name is ServedDtype =>
  (servedDtypes as readonly string[]).includes(name);

export interface GraftOptions {
  base: BaseModel;
  baseDtype: ServedDtype;
  activationDtype: 'fp32' | 'int8';
  chats: readonly Chat[];
  /** Concurrent chats. */
  atOnce: number;
  /** Number of questions that are asked one by one. */
  alone: number;
  /** No other question is asked after this time. */
  seconds: number;
  report(line: string): void;
}

/** The questions one by one, and in a generator that knows none of them, many at once. */
export async function graftSide(
  options: GraftOptions,
): Promise<{ oneByOne: Answered; together: Answered; same: boolean }> {
  const { chats, alone, atOnce } = options;
  const oneByOne = await inNewGenerator(options, 'one by one', chats.slice(0, alone), 1);
  const together = await inNewGenerator(options, `${atOnce} at once`, chats, atOnce);
  const same = [...oneByOne.ids].every(([i, ids]) => ids.join() === (together.ids.get(i) ?? ids).join());
  return { oneByOne, together, same };
}

async function inNewGenerator(
  { base, baseDtype, activationDtype, chats: all, atOnce, seconds, report }: GraftOptions,
  way: string,
  chats: readonly Chat[],
  lanes: number,
): Promise<Answered> {
  const generator = await openGenerator({ base, baseDtype, activationDtype, rows: atOnce });
  try {
    report(`Graft, ${baseDtype}, ${way}: loading, and a word from each adapter`);
    for (const adapter of new Set(all.map(({ adapter }) => adapter)))
      await ask(generator, { adapter, prompt: 'Hello' }, 4);
    return await measure(generator, chats, lanes, seconds, (line) =>
      report(`Graft, ${baseDtype}, ${way}: ${line}`),
    );
  } finally {
    await generator.close();
  }
}

async function ask(generator: Generator, { adapter, prompt }: Chat, max_tokens = answerTokens) {
  const began = performance.now();
  const ids: number[] = [];
  let first = 0;
  for await (const { tokenId } of generator.generate({ adapter, prompt, max_tokens })) {
    first ||= performance.now() - began;
    if (tokenId >= 0) ids.push(tokenId);
  }
  return { ids, first };
}

/** `lanes` chats at once, each asking its next question when it has its answer. */
async function measure(
  generator: Generator,
  chats: readonly Chat[],
  lanes: number,
  limit: number,
  report: (line: string) => void,
): Promise<Answered> {
  const began = performance.now();
  const passed = () => (performance.now() - began) / 1000;
  const ids: Answered['ids'] = new Map();
  const first: number[] = [];
  let tokens = 0;
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < chats.length && passed() < limit; i = next++) {
      const answer = await ask(generator, chats[i]!);
      ids.set(i, answer.ids);
      first.push(answer.first);
      tokens += answer.ids.length;
      if (ids.size % 4 === 0)
        report(`${ids.size} of ${chats.length} answers, ${tokens} tokens, ${passed().toFixed(0)} s`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { ids, first, tokens, seconds: passed() };
}
