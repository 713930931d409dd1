import type { Command } from 'commander';
import { bytes } from '../../draw/quantities.ts';
import { given } from '../../options/arguments.ts';
import {
  type CombinationOptions,
  combinationOf,
  combinationOptions,
  weightsOf,
} from '../../options/combination-options.ts';
import { serviceVerb } from '../service-verb.ts';

interface Options extends CombinationOptions {
  name: string;
  note?: string;
}

/** `graft adapters combine`. */
export function addCombineAdaptersVerb(group: Command): void {
  const combines = 'create a version from weighted versions of one base model, without training';
  const examples = [
    'ft:…:poet:production ft:…:pirate:production --name both',
    'ft:…:abcd1234 ft:…:efgh5678 --weights 0.7,0.3 --combination-type ties --density 0.5 --name both',
  ];
  const command = serviceVerb(group, 'combine <models...>', combines, ...examples)
    .requiredOption('--name <name>', 'name of the adapter that gets the version')
    .option('--note <text>', 'note about the version');
  combinationOptions(command).run(async ({ adapters }, models: string[], options: Options) => {
    const weights = weightsOf(options, models.length);
    const version = await adapters.combine({
      name: options.name,
      sources: models.map((model, i) => ({ model, weight: weights[i]! })),
      ...combinationOf(options),
      ...given({ note: options.note }),
    });
    const { model, adapter_id, version: number } = version;
    return {
      value: version,
      text: () =>
        `Published ${model} (adapter ${adapter_id}, version ${number}, ${bytes(version.bytes)})\n\nNext:\n  graft chat --model ${model} -m "…"`,
    };
  });
}
