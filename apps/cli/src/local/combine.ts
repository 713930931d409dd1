import { resolve } from 'node:path';
import type { Command } from 'commander';
import { duration } from '../draw/quantities.ts';
import { checkFree } from '../options/arguments.ts';
import {
  type CombinationOptions,
  combinationOf,
  combinationOptions,
  weightsOf,
} from '../options/combination-options.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { modelOption, openLocalModel } from './local-model.ts';

interface Options extends VerbOptions, CombinationOptions {
  model: string;
  adapter: string[];
  output: string;
  overwrite?: boolean;
}

export function addCombineVerb(program: Command): void {
  const combines = 'combine adapters of one base model into one, without training';
  const examples = [
    '--model smollm2-135m-instruct --adapter poet --adapter pirate --output both',
    '--model smollm2-135m-instruct --adapter poet --adapter pirate --weights 0.7,0.3 --combination-type ties --density 0.5 --output both',
  ];
  const added = (folder: string, folders: string[] = []) => [...folders, folder];
  const command = verb(program, 'combine', combines, ...examples)
    .requiredOption('--model <model>', modelOption)
    .requiredOption('--adapter <folder>', 'folder of an adapter; give the option once for each', added)
    .requiredOption('--output <folder>', 'folder for the new adapter');
  combinationOptions(command)
    .option('--overwrite', 'write into an output folder that is not empty')
    .action(combine);
}

async function combine(options: Options): Promise<void> {
  const output = createOutput(options);
  checkFree(options.output, options.overwrite);
  const weights = weightsOf(options, options.adapter.length);
  const began = performance.now();
  const { combineAdapters } = await import('@graft/peft-core/files');
  const { base, name } = await openLocalModel(options.model, output);
  try {
    const { peft } = await combineAdapters({
      sources: options.adapter.map((folder, i) => ({
        folder: resolve(folder),
        name: folder,
        weight: weights[i]!,
      })),
      output: resolve(options.output),
      base: { config: base.config, digest: await base.digest(), name },
      options: combinationOf(options),
    });
    const seconds = (performance.now() - began) / 1_000;
    const rank = 'r' in peft ? `, rank ${peft.r}` : '';
    output.result(
      { output: options.output, seconds, peft },
      () =>
        `Combined ${options.adapter.length} adapters in ${duration(seconds)}${rank}: ${options.output}\n\nNext:\n  graft generate --model ${options.model} --adapter ${options.output} -m "…"`,
    );
  } finally {
    await base.close();
  }
}
