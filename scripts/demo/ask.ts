import type { GraftClient } from '@graft/client';
import type { HeldOutExample } from './held-out.ts';
import { bar } from './print.ts';

/** The model's answers to every held-out question, greedy, with a bar on a terminal. */
export async function ask(client: GraftClient, model: string, heldOut: HeldOutExample[]): Promise<string[]> {
  const tty = process.stdout.isTTY;
  const texts: string[] = [];
  for (const [i, { messages }] of heldOut.entries()) {
    const reply = await client.chat.completions.create({ model, messages, max_tokens: 24, temperature: 0 });
    texts.push(reply.choices[0]!.message.content.trim());
    if (tty) process.stdout.write(`\r   ${bar((i + 1) / heldOut.length)} ${i + 1}/${heldOut.length} `);
  }
  if (tty) process.stdout.write('\n');
  return texts;
}
