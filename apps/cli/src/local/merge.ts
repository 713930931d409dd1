import { type Command, Option } from 'commander';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { runExport } from './export.ts';
import { modelOption } from './local-model.ts';

interface Options extends VerbOptions {
  model: string;
  adapter: string;
  output: string;
  base: 'original' | 'dequantised';
  overwrite?: boolean;
}

/** `graft export … --format merged` in float32. */
export function addMergeVerb(program: Command): void {
  const merges = 'merge an adapter into its base model and write a Hugging Face model folder, in float32';
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
    .option('--overwrite', 'replace the model in an output folder that is not empty')
    .action((options: Options) =>
      runExport(createOutput(options), {
        adapter: options.adapter,
        model: options.model,
        format: 'merged',
        folder: options.output,
        options: { dtype: 'float32', base: options.base },
        overwrite: options.overwrite ?? false,
      }),
    );
}
