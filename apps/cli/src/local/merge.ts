import { resolve } from 'node:path';
import type { Command } from 'commander';
import { checkFree } from '../arguments.ts';
import { duration } from '../draw/quantities.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { loadPeftCore } from './load-peft-core.ts';
import { openLocalModel } from './local-model.ts';

interface Options extends VerbOptions {
  model: string;
  adapter: string;
  output: string;
  overwrite?: boolean;
}

export function addMergeVerb(program: Command): void {
  verb(program, {
    name: 'merge',
    summary: 'write base model and adapter as one plain Hugging Face model folder',
    examples: ['graft merge --model smollm2-135m-instruct --adapter my-adapter --output merged-model'],
  })
    .requiredOption('--model <model>', 'folder, .gguf file, or id such as smollm2-135m-instruct')
    .requiredOption('--adapter <folder>', 'the adapter')
    .requiredOption('--output <folder>', 'the merged model')
    .option('--overwrite', 'write into an output folder that is not empty')
    .action(merge);
}

async function merge(options: Options): Promise<void> {
  const output = createOutput(options);
  checkFree(options.output, options.overwrite);
  const began = performance.now();
  const { base, name } = await openLocalModel(options.model, { note: output.note });
  try {
    const { mergeAdapter } = await loadPeftCore('fp32');
    output.note(`Merging ${options.adapter} into ${name}`);
    await mergeAdapter({ base, adapterDir: resolve(options.adapter), outputDir: resolve(options.output) });
  } finally {
    await base.close();
  }
  const seconds = (performance.now() - began) / 1_000;
  output.result(
    { output: options.output, seconds },
    () => `Merged in ${duration(seconds)}: ${options.output}`,
  );
}
