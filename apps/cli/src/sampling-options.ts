import type { Command } from 'commander';
import { anyNumber, numberWithin, wholeNumber } from './arguments.ts';

/** Sampling options besides the temperature. */
export interface SamplingOptions {
  topP?: number;
  topK?: number;
  minP?: number;
  repetitionPenalty?: number;
}

/** Adds the sampling options to a command. */
export const samplingOptions = (command: Command): Command =>
  command
    .option('--top-p <p>', 'sample among the likeliest tokens of this probability together', anyNumber)
    .option('--top-k <k>', 'sample from the k most likely tokens; 0: from all', wholeNumber(0))
    .option(
      '--min-p <p>',
      "leave out tokens of less than this share of the likeliest's probability",
      numberWithin(0, 1),
    )
    .option(
      '--repetition-penalty <x>',
      'above 1, what is there already is less likely',
      numberWithin(0.01, 100),
    );
