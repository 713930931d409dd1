import { resolve } from 'node:path';
import type { MergeBase } from '@graft/peft-core';
import type { QuantisedBase } from '@graft/peft-core/files';
import { type Command, Option } from 'commander';
import { duration } from '../draw/quantities.ts';
import { checkFree } from '../options/arguments.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { modelOption, withLocalModel } from './local-model.ts';

interface Options extends VerbOptions {
  model: string;
  adapter: string;
  output: string;
  base: MergeBase;
  overwrite?: boolean;
}

export function addMergeVerb(program: Command): void {
  const merges = 'merge an adapter into its base model and write a Hugging Face model folder';
  const examples = [
    '--model smollm2-135m-instruct --adapter my-adapter --output merged-model',
    '--model smollm2-135m-instruct --adapter my-nf4-adapter --output as-trained --base dequantised',
  ];
  verb(program, 'merge', merges, ...examples)
    .requiredOption('--model <model>', modelOption)
    .requiredOption('--adapter <folder>', 'folder of the adapter')
    .requiredOption('--output <folder>', 'folder for the merged model')
    .addOption(
      new Option(
        '--base <base>',
        'weights to merge into: the original ones, on which adapters are served; for an adapter trained with base_dtype int8 or nf4 also the dequantised ones on which it was trained',
      )
        .choices(['original', 'dequantised'])
        .default('original'),
    )
    .option('--overwrite', 'write into an output folder that is not empty')
    .action(merge);
}

async function merge(options: Options): Promise<void> {
  const output = createOutput(options);
  checkFree(options.output, options.overwrite);
  const began = performance.now();
  const merged = await withLocalModel(options.model, output, async (base, { mergeAdapter }) => {
    output.note(`Merging ${options.adapter} into ${options.model}`);
    return await mergeAdapter({
      base,
      adapterDir: resolve(options.adapter),
      outputDir: resolve(options.output),
      into: options.base,
    });
  });
  const seconds = (performance.now() - began) / 1_000;
  const { quantised } = merged;
  const lost = quantised && whatIsLost(merged.base, quantised);
  output.result(
    { output: options.output, seconds, ...(quantised && { base: merged.base, ...quantised }) },
    () => `Merged in ${duration(seconds)}: ${options.output}${lost ? `\n${lost}` : ''}`,
  );
}

/** Describes how a merge changes an adapter that was trained on a quantised base. */
function whatIsLost(base: MergeBase, quantised: QuantisedBase): string {
  const { base_dtype: dtype, quantised_validation_loss: own, validation_loss: served } = quantised;
  if (base === 'dequantised') {
    const known = own === null ? '' : `, whose validation loss was ${figure(own)}`;
    return `The merged model is the one that was trained, on the base in ${dtype}${known}.`;
  }
  const offer = '--base dequantised merges into the weights that it was trained on.';
  if (own === null || served === null)
    return `The adapter was trained on the base in ${dtype}: on the original weights the model is not exactly the one that was trained. ${offer}`;
  return `The adapter was trained on the base in ${dtype}: its validation loss was ${figure(own)} there, and is ${figure(served)} on the original weights, ${figure(Math.abs(served - own))} ${served < own ? 'less' : 'more'}. ${offer}`;
}

/** Rounds to six significant digits. */
const figure = (loss: number): string => String(Number(loss.toPrecision(6)));
