import { text as readAll } from 'node:stream/consumers';
import type { ChatMessage } from '@graft/client';
import type { Command } from 'commander';
import { anyNumber, jsonObjectArgument, wholeNumber } from '../arguments.ts';
import { printableOn } from '../draw/printable.ts';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { type SamplingOptions, samplingOptions } from '../sampling-options.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';

interface Options extends RemoteOptions, SamplingOptions {
  model: string;
  message?: string;
  system?: string;
  maxTokens: number;
  temperature: number;
  templateKwargs?: string;
  seed?: number;
}

export function addChatVerb(program: Command): void {
  samplingOptions(
    verb(program, {
      name: 'chat',
      summary: 'chat with a model; answers are streamed',
      examples: [
        'graft chat --model ft:… -m "Where is my order?"',
        'graft chat --model smollm2-135m-instruct',
        'echo "Hello" | graft chat --model ft:…',
      ],
      remote: true,
    })
      .requiredOption('--model <id>', 'base model, or fine-tuned model (ft:…)')
      .option(
        '-m, --message <text>',
        'one user message (default: an interactive chat, or the message from a pipe)',
      )
      .option('--system <text>', 'the system message')
      .option('--max-tokens <n>', 'maximum number of tokens of an answer', wholeNumber(1), 512)
      .option(
        '--temperature <t>',
        '0 always chooses the most likely token; higher values vary more',
        anyNumber,
        0.2,
      ),
  )
    .option(
      '--template-kwargs <json>',
      'variables of the chat template, such as {"enable_thinking": false}; or @file',
    )
    .option('--seed <n>', 'seed of sampling, for reproducible text', wholeNumber(0))
    .action(chat);
}

async function chat(options: Options): Promise<void> {
  const output = createOutput(options);
  const client = await connect(options);
  const { model, message, system } = options;
  const opening: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  const sampling = {
    model,
    max_tokens: options.maxTokens,
    temperature: options.temperature,
    ...(options.topP === undefined ? {} : { top_p: options.topP }),
    ...(options.topK === undefined ? {} : { top_k: options.topK }),
    ...(options.minP === undefined ? {} : { min_p: options.minP }),
    ...(options.repetitionPenalty === undefined ? {} : { repetition_penalty: options.repetitionPenalty }),
    ...(options.templateKwargs === undefined
      ? {}
      : { chat_template_kwargs: jsonObjectArgument('--template-kwargs', options.templateKwargs) }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  };
  if (message === undefined && process.stdin.isTTY && !output.json) {
    const { converse } = await import('./converse.ts');
    return converse(client, sampling, opening, output);
  }
  const text = message ?? (process.stdin.isTTY ? '' : await readAll(process.stdin));
  if (text.trim() === '') throw new UsageError('No message: pass -m "…", or pipe the message in.');
  const params = { ...sampling, messages: [...opening, { role: 'user' as const, content: text }] };
  if (output.json) {
    output.result(await client.chat.completions.create(params), () => '');
    return;
  }
  for await (const chunk of await client.chat.completions.create({ ...params, stream: true })) {
    process.stdout.write(printableOn(process.stdout, chunk.choices[0]?.delta.content ?? ''));
  }
  process.stdout.write('\n');
}
