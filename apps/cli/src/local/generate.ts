import type { Command } from 'commander';
import { anyNumber, wholeNumber } from '../arguments.ts';
import { verb } from '../verb.ts';

export interface GenerateVerbOptions {
  json?: boolean;
  model: string;
  adapter?: string;
  prompt?: string;
  message?: string;
  messages?: string;
  maxTokens?: number;
  temperature: number;
  topP?: number;
  stop: string[];
  seed?: number;
  maxContext?: number;
}

export function addGenerateVerb(program: Command): void {
  verb(program, {
    name: 'generate',
    summary: 'generate text here, with or without an adapter',
    examples: [
      'graft generate --model smollm2-135m-instruct --prompt "Once upon a time" --max-tokens 40',
      'graft generate --model ./my-model --adapter my-adapter -m "Hello!"',
    ],
  })
    .requiredOption('--model <model>', 'folder, .gguf file, or id such as smollm2-135m-instruct')
    .option('--adapter <folder>', 'generate with this adapter')
    .option('--prompt <text>', 'text to go on with, as it is; or @file')
    .option('-m, --message <text>', 'one question to answer, by the chat template')
    .option(
      '--messages <json>',
      'a conversation to answer, by the chat template: [{"role", "content"}, …] or @file',
    )
    .option('--max-tokens <n>', 'end after this many tokens (default: 256)', wholeNumber(1))
    .option('--temperature <t>', '0 always takes the likeliest token', anyNumber, 0)
    .option('--top-p <p>', 'sample among the likeliest tokens of this probability together', anyNumber)
    .option(
      '--stop <text>',
      'end before this text; may be given again',
      (text, all: string[]) => [...all, text],
      [],
    )
    .option('--seed <n>', 'makes sampling repeatable', wholeNumber(0))
    .option('--max-context <n>', 'tokens of prompt and answer together (default: 2048)', wholeNumber(1))
    .action(async (options: GenerateVerbOptions) => {
      const { generateLocal } = await import('./generate-local.ts');
      await generateLocal(options);
    });
}
