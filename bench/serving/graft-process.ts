/** One generator of a serving measurement, which asks the questions of its plan. Reports on standard error, and prints what it did. */
import { openGenerator } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { peakMemory } from '../../packages/peft-core/src/train/machine/peak-memory.ts';
import { answer, inLanes, readPlan } from '../../scripts/measuring/processes.ts';
import { answerTokens, type Chat } from './chats.ts';
import type { Answered, ServingPlan } from './sides.ts';

const { model, baseDtype, activationDtype, chats, rows, seconds, title } = await readPlan<ServingPlan>();
const report = (line: string) => console.error(`${title}: ${line}`);
const base = await openBaseModel(model);
const generator = await openGenerator({ base, baseDtype, activationDtype, rows });
report('loading, and a word from each adapter');
for (const adapter of new Set(chats.map(({ adapter }) => adapter)))
  await ask({ adapter, prompt: 'Hello' }, 4);

const began = performance.now();
const passed = () => (performance.now() - began) / 1000;
const done: Answered = { ids: [], first: [], tokens: 0, seconds: 0, peakBytes: 0 };
await inLanes(
  rows,
  (next) => next >= chats.length || passed() >= seconds,
  async (i) => {
    const { ids, first } = await ask(chats[i]!);
    done.ids.push([i, ids]);
    done.first.push(first);
    done.tokens += ids.length;
    if (done.ids.length % 4 === 0)
      report(
        `${done.ids.length} of ${chats.length} answers, ${done.tokens} tokens, ${passed().toFixed(0)} s`,
      );
  },
);
done.seconds = passed();
await generator.close();
await base.close();
answer({ ...done, peakBytes: peakMemory() });

async function ask({ adapter, prompt }: Chat, max_tokens = answerTokens) {
  const began = performance.now();
  const ids: number[] = [];
  let first = 0;
  for await (const { tokenId } of generator.generate({ adapter, prompt, max_tokens })) {
    first ||= performance.now() - began;
    if (tokenId >= 0) ids.push(tokenId);
  }
  return { ids, first };
}
