import { GeneratorProcess } from '../../../apps/worker/src/generation/generator-process.ts';
import type { CheckContext, Figures } from '../check.ts';
import { tasks } from '../models.ts';
import { processOptions } from './training-request.ts';

/** Chats that are answered at once. */
const COUNTS = [1, 8, 32];

/** How fast chats on the demo's model are answered, one and several at once. */
export async function serving(context: CheckContext): Promise<Figures> {
  const { small, folder } = context;
  const { model, workload } = await tasks.demo(context);
  const tokens = small ? 8 : 128;
  const counts = small ? COUNTS.slice(0, 2) : COUNTS;
  const most = Math.max(...counts);
  const generator = new GeneratorProcess({
    ...processOptions(context, new URL('../../../apps/worker/src/generation/generator.ts', import.meta.url)),
    limits: { rows: most },
    queueLimit: most,
    waitMilliseconds: 600_000,
  });
  const chat = async (number: number) => {
    const began = performance.now();
    const request = {
      baseModel: workload.name,
      basePath: model,
      digestCache: folder,
      adapterDir: null,
      options: {
        prompt: `${number}: can we reserve a bike for Saturday?`,
        max_tokens: tokens,
        temperature: 1,
      },
    };
    const found = { first: Number.NaN, tokens: 0 };
    for await (const event of generator.generate(request, new AbortController().signal)) {
      if (event.type === 'failed') throw new Error(`the generator: ${event.fault.message}`);
      if (event.type === 'token' && Number.isNaN(found.first)) found.first = performance.now() - began;
      if (event.type === 'done') found.tokens = event.completionTokens;
    }
    return found;
  };
  try {
    const began = performance.now();
    await chat(0);
    const figures: Figures = { 'first answer after': `${((performance.now() - began) / 1000).toFixed(1)} s` };
    for (const count of counts) {
      const started = performance.now();
      const chats = await Promise.all(Array.from({ length: count }, (_, i) => chat(i)));
      const seconds = (performance.now() - started) / 1000;
      const made = chats.reduce((sum, each) => sum + each.tokens, 0);
      figures[`${count} at once`] = `${(made / seconds).toFixed(0)} tokens/s`;
      if (count === 1) figures['first token'] = `${chats[0]!.first.toFixed(0)} ms`;
    }
    return figures;
  } finally {
    await generator.close();
  }
}
