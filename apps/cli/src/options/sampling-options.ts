import type { Command } from 'commander';
import { anyNumber, numberWithin, wholeNumber } from './arguments.ts';

/** Sampling options besides the temperature. */
export interface SamplingOptions {
  topP?: number;
  topK?: number;
  minP?: number;
  repetitionPenalty?: number;
  templateKwargs?: string;
  seed?: number;
}

/** Adds the options of sampling and of the chat template to a command. */
export const samplingOptions = <C extends Command>(command: C): C =>
  command
    .option(
      '--top-p <p>',
      'nucleus sampling: sample from the most likely tokens with this total probability',
      anyNumber,
    )
    .option('--top-k <k>', 'sample from the k most likely tokens; 0: from all', wholeNumber(0))
    .option(
      '--min-p <p>',
      "leave out tokens less likely than this share of the most likely token's probability",
      numberWithin(0, 1),
    )
    .option(
      '--repetition-penalty <x>',
      'above 1, tokens that have already occurred are less likely',
      numberWithin(0.01, 100),
    )
    .option(
      '--template-kwargs <json>',
      'variables of the chat template, such as {"enable_thinking": false}; or @file',
    )
    .option('--seed <n>', 'seed of sampling, for reproducible text', wholeNumber(0));

export const samplingFields = ({ topP, topK, minP, repetitionPenalty }: SamplingOptions) => ({
  top_p: topP,
  top_k: topK,
  min_p: minP,
  repetition_penalty: repetitionPenalty,
});
