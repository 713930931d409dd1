import type { CheckContext, Figures } from '../check.ts';
import { tasks } from '../models.ts';
import { answerOf, startGenerator } from './processes.ts';

/** Chats that are answered at once. */
const COUNTS = [1, 8, 32];

/** How fast chats on the demo's model are answered, one and several at once. */
export async function serving(context: CheckContext): Promise<Figures> {
  const { small } = context;
  const task = await tasks.demo(context);
  const tokens = small ? 8 : 128;
  const counts = small ? COUNTS.slice(0, 2) : COUNTS;
  const generator = startGenerator(context, Math.max(...counts));
  const chat = (number: number) =>
    answerOf(generator, task, context, {
      prompt: `${number}: can we reserve a bike for Saturday?`,
      max_tokens: tokens,
      temperature: 1,
    });
  try {
    const figures: Figures = { 'first answer after': `${((await chat(0)).all / 1000).toFixed(1)} s` };
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
