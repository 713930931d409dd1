import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { GeneratedText, GenerateRequest, GenerateResult } from '@graft/peft-core';
import type { SamplingField, TemplateKwargs } from '@graft/peft-core/config';
import type { BaseModel } from '@graft/peft-core/files';
import type { Command } from 'commander';
import { printableOn } from '../draw/printable.ts';
import { UsageError } from '../errors.ts';
import { catchInterrupts } from '../interrupts.ts';
import {
  anyNumber,
  given,
  jsonArgument,
  jsonObjectArgument,
  textArgument,
  wholeNumber,
} from '../options/arguments.ts';
import { type SamplingOptions, samplingFields, samplingOptions } from '../options/sampling-options.ts';
import { toolChoice, toolChoiceOption } from '../options/tool-choice.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { modelOption, type PeftCore, withLocalModel } from './local-model.ts';

interface Options extends VerbOptions, SamplingOptions {
  model: string;
  adapter?: string;
  prompt?: string;
  message?: string;
  messages?: string;
  maxTokens: number;
  temperature?: number;
  modelDefaults?: boolean;
  stop: string[];
  maxContext?: number;
  allowSpecialTokens?: boolean;
  tools?: string;
  toolChoice?: string;
}

export function addGenerateVerb(program: Command): void {
  const generates = 'generate text on this machine, with or without an adapter';
  const examples = [
    '--model smollm2-135m-instruct --prompt "Once upon a time" --max-tokens 40',
    '--model ./my-model --adapter my-adapter -m "Hello!"',
    '--model ./my-model -m "How warm is it?" --tools @tools.json --tool-choice required',
  ];
  samplingOptions(
    verb(program, 'generate', generates, ...examples)
      .requiredOption('--model <model>', modelOption)
      .option('--adapter <folder>', 'generate with this adapter')
      .option('--prompt <text>', 'text to continue, without a chat template; or @file')
      .option('-m, --message <text>', 'one user message to answer, with the chat template')
      .option(
        '--messages <json>',
        'a conversation to answer, with the chat template: [{"role": …, "content": …}, …] or @file',
      )
      .option('--allow-special-tokens', 'read special tokens in the text as tokens, not as plain text')
      .option('--max-tokens <n>', 'maximum number of generated tokens', wholeNumber(1), 256)
      .option('--temperature <t>', '0, the default, always chooses the most likely token', anyNumber),
  )
    .option(
      '--tools <json>',
      'tools that the answer may call, whose calls are printed as JSON: a list as in a request (docs/tools.md), or @file',
    )
    .option('--tool-choice <choice>', toolChoiceOption)
    .option(
      '--model-defaults',
      "take sampling options that are not set from the model's generation_config.json",
    )
    .option('--stop <text>', 'stop before this text; repeatable', (text, all: string[]) => [...all, text], [])
    .option(
      '--max-context <n>',
      'maximum tokens of prompt and answer together (default: 2048)',
      wholeNumber(1),
    )
    .action(generate);
}

async function generate(options: Options): Promise<void> {
  const output = createOutput(options);
  const input = inputOf(options);
  const sampling = samplingOf(options);
  const kwargs = await templateKwargsOf(options);
  const demands = await toolsOf(options);
  const { signal, release } = catchInterrupts();
  const { model, adapter, maxContext: context } = options;
  const run = async (base: BaseModel, { openGenerator }: PeftCore) => {
    output.note(`Loading ${model}`);
    const generator = await openGenerator({ base, ...given({ context }) });
    try {
      const pieces = generator.generate({
        ...input,
        allow_special_tokens: options.allowSpecialTokens ?? false,
        adapter: adapter === undefined ? null : resolve(adapter),
        max_tokens: options.maxTokens,
        ...sampling,
        ...demands,
        chat_template_kwargs: kwargs,
        stop: options.stop,
        seed: options.seed ?? null,
        signal,
      });
      let text = '';
      let reasoning_content = '';
      const calls: ToolCall[] = [];
      let result: GenerateResult | null = null;
      while (result === null) {
        const next = await pieces.next();
        if (next.done) result = next.value;
        else {
          const { reasoning = '' } = next.value;
          text += next.value.text;
          reasoning_content += reasoning;
          addCalls(calls, next.value);
          process.stderr.write(printableOn(process.stderr, reasoning));
          if (!output.json) process.stdout.write(printableOn(process.stdout, next.value.text));
        }
      }
      const { finishReason: finish_reason, promptTokens: prompt_tokens, completionTokens } = result;
      const total_tokens = prompt_tokens + completionTokens;
      const usage = { prompt_tokens, completion_tokens: completionTokens, total_tokens };
      if (reasoning_content !== '') output.note('');
      const answer = {
        ...(reasoning_content === '' ? {} : { reasoning_content }),
        text,
        ...(demands.tools ? { tool_calls: calls } : {}),
      };
      const shown = calls.map(({ function: called }) => JSON.stringify(called)).join('\n');
      output.result({ ...answer, finish_reason, usage }, () =>
        printableOn(process.stdout, text !== '' && shown !== '' ? `\n${shown}` : shown),
      );
    } finally {
      await generator.close();
    }
  };
  try {
    await withLocalModel(model, output, run, signal);
  } finally {
    release();
  }
}

/** A call as OpenAI's API has it; `arguments` is JSON text. */
interface ToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

function addCalls(calls: ToolCall[], { calls: parts = [] }: GeneratedText): void {
  for (const { index, id = '', name = '', arguments: text } of parts) {
    calls[index] ??= { id, type: 'function', function: { name, arguments: '' } };
    calls[index].function.arguments += text;
  }
}

async function toolsOf({
  tools: json,
  toolChoice: choice,
  prompt,
}: Options): Promise<Pick<GenerateRequest, 'tools' | 'tool_choice'>> {
  if (json === undefined) {
    if (choice === undefined) return {};
    throw new UsageError('--tool-choice needs --tools.');
  }
  if (prompt !== undefined)
    throw new UsageError('--tools needs the chat template: give --message or --messages, not --prompt.');
  const { readTools } = await import('@graft/peft-core/chat');
  const tools = readTools(textArgument('--tools', json));
  if ('fault' in tools) throw new UsageError(`--tools: ${tools.field} ${tools.fault}.`);
  return choice === undefined ? { tools } : { tools, tool_choice: toolChoice(choice) };
}

function samplingOf(options: Options): Pick<GenerateRequest, SamplingField | 'model_defaults'> {
  const values = { temperature: options.temperature, ...samplingFields(options) };
  const names = Object.keys(values) as SamplingField[];
  return {
    ...given(values),
    model_defaults: options.modelDefaults ? names.filter((name) => values[name] === undefined) : [],
  };
}

async function templateKwargsOf({ templateKwargs }: Options): Promise<TemplateKwargs> {
  if (templateKwargs === undefined) return {};
  const { templateKwargsFault } = await import('@graft/peft-core/config');
  const value = jsonObjectArgument('--template-kwargs', templateKwargs);
  const fault = templateKwargsFault(value);
  if (fault !== null) throw new UsageError(`--template-kwargs ${fault}.`);
  return value;
}

function inputOf(options: Options): Pick<GenerateRequest, 'prompt' | 'messages'> {
  const { prompt, message, messages } = options;
  if ([prompt, message, messages].filter((text) => text !== undefined).length !== 1) {
    throw new UsageError('Give one of --prompt, --message and --messages.');
  }
  if (message !== undefined) return { messages: [{ role: 'user', content: message }] };
  if (prompt !== undefined) {
    return { prompt: prompt.startsWith('@') ? readFileSync(prompt.slice(1), 'utf8') : prompt };
  }
  const list = jsonArgument('--messages', messages as string);
  const right =
    Array.isArray(list) &&
    list.length > 0 &&
    list.every((each) => typeof each?.role === 'string' && typeof each?.content === 'string');
  if (!right) throw new UsageError('--messages must be a list of {"role", "content"}, both text.');
  return { messages: list as NonNullable<GenerateRequest['messages']> };
}
