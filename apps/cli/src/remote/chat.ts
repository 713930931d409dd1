import type { ChatMessage } from '@graft/client';
import type { Command } from 'commander';
import { type ChatOptions, samplingOf, systemMessages } from './chat-request.ts';
import { connect } from './connect.ts';
import { printableOn } from '../draw/printable.ts';
import { anyNumber, wholeNumber } from '../arguments.ts';
import { createOutput } from '../output.ts';
import { UsageError } from '../usage-error.ts';
import { verb } from '../verb.ts';

export function addChatVerb(program: Command): void {
  verb(program, {
    name: 'chat',
    summary: 'talk to a model; answers appear as they are generated',
    examples: [
      'graft chat --model ft:… -m "Where is my order?"',
      'graft chat --model smollm2-135m-instruct',
      'echo "Hello" | graft chat --model ft:…',
    ],
    remote: true,
  })
    .requiredOption('--model <id>', 'a base model or ft:…')
    .option('-m, --message <text>', 'one question; without it a conversation, or the question from a pipe')
    .option('--system <text>', 'the system message')
    .option('--max-tokens <n>', 'end an answer after this many tokens', wholeNumber(1), 512)
    .option('--temperature <t>', '0 always takes the likeliest token; more is more varied', anyNumber, 0.2)
    .option('--top-p <p>', 'sample among the likeliest tokens of this probability together', anyNumber)
    .option('--seed <n>', 'makes sampling repeatable', wholeNumber(0))
    .action(chat);
}

async function chat(options: ChatOptions): Promise<void> {
  const output = createOutput(options);
  const client = await connect(options);
  const { message } = options;
  if (message === undefined && process.stdin.isTTY && !output.json) {
    const { converse } = await import('./converse.ts');
    return converse(client, options, output);
  }
  const text = message ?? (process.stdin.isTTY ? '' : await readStdin());
  if (text.trim() === '') throw new UsageError('Nothing to say: pass -m "…", or pipe the message in.');
  const messages: ChatMessage[] = [...systemMessages(options), { role: 'user', content: text }];
  const params = { ...samplingOf(options), messages };
  if (output.json) {
    output.result(await client.chat.completions.create(params), () => '');
    return;
  }
  for await (const chunk of await client.chat.completions.create({ ...params, stream: true })) {
    process.stdout.write(printableOn(process.stdout, chunk.choices[0]?.delta.content ?? ''));
  }
  process.stdout.write('\n');
}

async function readStdin(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  return text;
}
