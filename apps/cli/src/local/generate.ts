import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { GenerateRequest, GenerateResult } from '@graft/peft-core';
import type { SamplingField, TemplateKwargs } from '@graft/peft-core/config';
import type { Command } from 'commander';
import { anyNumber, jsonArgument, jsonObjectArgument, wholeNumber } from '../arguments.ts';
import { printableOn } from '../draw/printable.ts';
import { UsageError } from '../errors.ts';
import { catchInterrupts } from '../interrupts.ts';
import { createOutput } from '../output.ts';
import { type SamplingOptions, samplingOptions } from '../sampling-options.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { loadPeftCore } from './load-peft-core.ts';
import { openLocalModel } from './local-model.ts';

interface Options extends VerbOptions, SamplingOptions {
  model: string;
  adapter?: string;
  prompt?: string;
  message?: string;
  messages?: string;
  maxTokens?: number;
  temperature?: number;
  modelDefaults?: boolean;
  templateKwargs?: string;
  stop: string[];
  seed?: number;
  maxContext?: number;
  allowSpecialTokens?: boolean;
}

export function addGenerateVerb(program: Command): void {
  samplingOptions(
    verb(program, {
      name: 'generate',
      summary: 'generate text on this machine, with or without an adapter',
      examples: [
        'graft generate --model smollm2-135m-instruct --prompt "Once upon a time" --max-tokens 40',
        'graft generate --model ./my-model --adapter my-adapter -m "Hello!"',
      ],
    })
      .requiredOption('--model <model>', 'folder, .gguf file, or id such as smollm2-135m-instruct')
      .option('--adapter <folder>', 'generate with this adapter')
      .option('--prompt <text>', 'text to continue, without a chat template; or @file')
      .option('-m, --message <text>', 'one user message to answer, with the chat template')
      .option(
        '--messages <json>',
        'a conversation to answer, with the chat template: [{"role": …, "content": …}, …] or @file',
      )
      .option('--allow-special-tokens', 'read special tokens in the text as tokens, not as plain text')
      .option('--max-tokens <n>', 'maximum number of generated tokens (default: 256)', wholeNumber(1))
      .option('--temperature <t>', '0, the default, always chooses the most likely token', anyNumber),
  )
    .option(
      '--model-defaults',
      "take sampling options that are not set from the model's generation_config.json",
    )
    .option(
      '--template-kwargs <json>',
      'variables of the chat template, such as {"enable_thinking": false}; or @file',
    )
    .option('--stop <text>', 'stop before this text; repeatable', (text, all: string[]) => [...all, text], [])
    .option('--seed <n>', 'seed of sampling, for reproducible text', wholeNumber(0))
    .option(
      '--max-context <n>',
      'maximum tokens of prompt and answer together (default: 2048)',
      wholeNumber(1),
    )
    .action(generate);
}

const DEFAULT_MAX_TOKENS = 256;

async function generate(options: Options): Promise<void> {
  const output = createOutput(options);
  const input = inputOf(options);
  const sampling = samplingOf(options);
  const kwargs = await templateKwargsOf(options);
  const interrupts = catchInterrupts();
  const { base, name } = await openLocalModel(options.model, {
    note: output.note,
    signal: interrupts.signal,
  });
  try {
    const { openGenerator } = await loadPeftCore('fp32');
    output.note(`Loading ${name}`);
    const generator = await openGenerator({
      base,
      ...(options.maxContext === undefined ? {} : { context: options.maxContext }),
    });
    try {
      const pieces = generator.generate({
        ...input,
        allow_special_tokens: options.allowSpecialTokens ?? false,
        adapter: options.adapter === undefined ? null : resolve(options.adapter),
        max_tokens: options.maxTokens ?? DEFAULT_MAX_TOKENS,
        ...sampling,
        chat_template_kwargs: kwargs,
        stop: options.stop,
        seed: options.seed ?? null,
        signal: interrupts.signal,
      });
      let text = '';
      let result: GenerateResult | null = null;
      while (result === null) {
        const next = await pieces.next();
        if (next.done) result = next.value;
        else {
          text += next.value.text;
          if (!output.json) process.stdout.write(printableOn(process.stdout, next.value.text));
        }
      }
      output.result(
        {
          text,
          finish_reason: result.finishReason,
          usage: {
            prompt_tokens: result.promptTokens,
            completion_tokens: result.completionTokens,
            total_tokens: result.promptTokens + result.completionTokens,
          },
        },
        () => '',
      );
    } finally {
      await generator.close();
    }
  } finally {
    interrupts.release();
    await base.close();
  }
}

function samplingOf(options: Options): Pick<GenerateRequest, SamplingField | 'model_defaults'> {
  const values = {
    temperature: options.temperature,
    top_p: options.topP,
    top_k: options.topK,
    min_p: options.minP,
    repetition_penalty: options.repetitionPenalty,
  };
  const names = Object.keys(values) as SamplingField[];
  return {
    ...Object.fromEntries(
      names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
    ),
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
  if ([prompt, message, messages].filter((given) => given !== undefined).length !== 1) {
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
