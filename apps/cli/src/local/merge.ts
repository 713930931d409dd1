import { resolve } from 'node:path';
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
  base: 'original' | 'dequantised';
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
  output.result({ output: options.output, seconds, notes: merged.notes }, () =>
    [`Merged in ${duration(seconds)}: ${options.output}`, ...merged.notes].join('\n'),
  );
}
