import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { GenerateRequest, GenerateResult } from '@graft/peft-core';
import { printableOn } from '../draw/printable.ts';
import { catchInterrupts } from '../interrupts.ts';
import { jsonArgument } from '../json-argument.ts';
import { loadPeftCore } from './load-peft-core.ts';
import { openLocalModel } from './local-model.ts';
import { createOutput } from '../output.ts';
import { UsageError } from '../usage-error.ts';
import type { GenerateVerbOptions } from './generate.ts';

const DEFAULT_MAX_TOKENS = 256;

/** `graft generate`. */
export async function generateLocal(options: GenerateVerbOptions): Promise<void> {
  const output = createOutput(options);
  const input = inputOf(options);
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
      ...(options.maxContext === undefined ? {} : { maxContext: options.maxContext }),
    });
    try {
      await generator.useAdapter(options.adapter === undefined ? null : resolve(options.adapter));
      const pieces = generator.generate({
        ...input,
        max_tokens: options.maxTokens ?? DEFAULT_MAX_TOKENS,
        temperature: options.temperature,
        ...(options.topP === undefined ? {} : { top_p: options.topP }),
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
      generator.close();
    }
  } finally {
    interrupts.release();
    await base.close();
  }
}

function inputOf(options: GenerateVerbOptions): Pick<GenerateRequest, 'prompt' | 'messages'> {
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
