/** One generator of a serving measurement, which asks the questions of its plan. Reports on standard error, and prints what it did. */
import { type Generator, openGenerator } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { peakMemory } from '../../packages/peft-core/src/train/machine/peak-memory.ts';
import { answer, readPlan } from '../../scripts/measuring/processes.ts';
import { answerTokens, type Chat } from './chats.ts';
import type { Answered, ServingPlan } from './graft-side.ts';

const { model, baseDtype, activationDtype, chats, lanes, rows, seconds, title } =
  await readPlan<ServingPlan>();
const report = (line: string) => console.error(`${title}: ${line}`);
const base = await openBaseModel(model);
const generator = await openGenerator({ base, baseDtype, activationDtype, rows });
report('loading, and a word from each adapter');
for (const adapter of new Set(chats.map(({ adapter }) => adapter)))
  await ask(generator, { adapter, prompt: 'Hello' }, 4);
const { ids, ...answered } = await measure(generator, chats, lanes, seconds);
await generator.close();
await base.close();
answer({ ...answered, ids: [...ids], peakBytes: peakMemory() });

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
): Promise<Answered> {
  const began = performance.now();
  const passed = () => (performance.now() - began) / 1000;
  const ids: Answered['ids'] = new Map();
  const first: number[] = [];
  let tokens = 0;
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < chats.length && passed() < limit; i = next++) {
      const said = await ask(generator, chats[i]!);
      ids.set(i, said.ids);
      first.push(said.first);
      tokens += said.ids.length;
      if (ids.size % 4 === 0)
        report(`${ids.size} of ${chats.length} answers, ${tokens} tokens, ${passed().toFixed(0)} s`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { ids, first, tokens, seconds: passed() };
}
