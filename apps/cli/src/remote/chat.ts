import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import type { ChatCompletionParams, ChatMessage, GraftClient } from '@graft/client';
import type { Command } from 'commander';
import type { Answer } from '../answer.ts';
import { printableOn } from '../draw/printable.ts';
import { UsageError } from '../errors.ts';
import { anyNumber, given, jsonObjectArgument, wholeNumber } from '../options/arguments.ts';
import { type SamplingOptions, samplingFields, samplingOptions } from '../options/sampling-options.ts';
import { toolChoice, toolChoiceOption } from '../options/tool-choice.ts';
import { createOutput } from '../output.ts';
import type { RemoteOptions } from './connect.ts';
import { serviceVerb } from './service-verb.ts';

interface Options extends RemoteOptions, SamplingOptions {
  model: string;
  message?: string;
  system?: string;
  maxTokens: number;
  temperature: number;
  tools?: string;
  toolChoice?: string;
  jsonSchema?: string;
}

export function addChatVerb(program: Command): void {
  const examples = [
    '--model ft:… -m "Where is my order?"',
    '--model smollm2-135m-instruct',
    'echo "Hello" | graft chat --model ft:…',
  ];
  samplingOptions(
    serviceVerb(program, 'chat', 'chat with a model; answers are streamed', ...examples)
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
      )
      .option('--tools <file>', 'JSON list of tools that the answer to --message may call (docs/tools.md)')
      .option('--tool-choice <choice>', toolChoiceOption)
      .option('--json-schema <file>', 'JSON schema that the answer to --message follows'),
  ).run(chat);
}

async function chat(client: GraftClient, options: Options): Promise<Answer | null> {
  const { model, message, system, maxTokens: max_tokens, temperature, templateKwargs: kwargs } = options;
  const opening: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  const sampling = {
    model,
    max_tokens,
    temperature,
    ...given({
      ...samplingFields(options),
      chat_template_kwargs:
        kwargs === undefined ? undefined : jsonObjectArgument('--template-kwargs', kwargs),
      seed: options.seed,
    }),
  };
  if (message === undefined && process.stdin.isTTY && !options.json) {
    const { converse } = await import('./converse.ts');
    await converse(client, sampling, opening, createOutput(options));
    return null;
  }
  const text = message ?? (process.stdin.isTTY ? '' : await readAll(process.stdin));
  if (text.trim() === '') throw new UsageError('No message: pass -m "…", or pipe the message in.');
  const messages = [...opening, { role: 'user' as const, content: text }];
  const params = { ...sampling, messages, ...(await demandsOf(options)) };
  if (options.json) return { value: await client.chat.completions.create(params), text: '' };
  for await (const chunk of await client.chat.completions.create({ ...params, stream: true })) {
    const { reasoning_content = '', content = '', tool_calls = [] } = chunk.choices[0]?.delta ?? {};
    // Not part of the answer, so that it can be piped.
    process.stderr.write(printableOn(process.stderr, reasoning_content));
    process.stdout.write(printableOn(process.stdout, content));
    for (const { index, function: part } of tool_calls) {
      const head = part.name === undefined ? '' : `${index > 0 ? '\n' : ''}${part.name} `;
      process.stdout.write(printableOn(process.stdout, head + part.arguments));
    }
  }
  process.stdout.write('\n');
  return null;
}

async function demandsOf({
  tools,
  toolChoice: choice,
  jsonSchema,
}: Options): Promise<Pick<ChatCompletionParams, 'tools' | 'tool_choice' | 'response_format'>> {
  const demands: Pick<ChatCompletionParams, 'tools' | 'tool_choice' | 'response_format'> = {};
  if (tools !== undefined)
    demands.tools = (await readJson('--tools', tools)) as NonNullable<ChatCompletionParams['tools']>;
  if (choice !== undefined) {
    if (tools === undefined) throw new UsageError('--tool-choice needs --tools.');
    const chosen = toolChoice(choice);
    demands.tool_choice = typeof chosen === 'string' ? chosen : { type: 'function', function: chosen };
  }
  if (jsonSchema !== undefined) {
    const schema = (await readJson('--json-schema', jsonSchema)) as Record<string, unknown>;
    demands.response_format = { type: 'json_schema', json_schema: { name: 'answer', schema } };
  }
  return demands;
}

/** The service checks the rest. */
async function readJson(option: string, file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown;
  } catch (error) {
    throw new UsageError(`${option}: ${file} cannot be read as JSON: ${(error as Error).message}`);
  }
}
