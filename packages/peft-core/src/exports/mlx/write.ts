import path from 'node:path';
import { writeSafetensors } from '../../safetensors/write-safetensors.ts';
import { jsonText, writeSmallFile } from '../../small-file.ts';
import { transpose } from '../../tensors/transpose.ts';
import { methodOf } from '../../tuners/methods.ts';
import type { ExportWriter } from '../export-writer.ts';
import { padRanks } from '../pad-ranks.ts';
import type { MlxOptions } from './format.ts';

/**
 * `<module>.lora_a` `(width, rank)` and `.lora_b` `(rank, out)`: the transposed A and B, with one rank and scale for all. Source: mlx-lm,
 * tuner/lora.py and tuner/utils.py (load_adapters).
 */
export const writeMlx: ExportWriter<MlxOptions> = async ({ outputDir, fitting, onBytes }) => {
  const { adapter, architecture } = fitting;
  const form = methodOf(adapter.config).lowRank!(adapter.config, architecture);
  const ranks = form.updates.map((update) => update.rank);
  const rank = Math.max(...ranks);
  const { scale, rescaled, tensors } = padRanks(form, adapter.tensors, rank);
  const padded = ranks.filter((each) => each !== rank).length;
  const factor = (name: string, key: string) => {
    const { shape, data } = tensors.get(key)!;
    return { name, shape: [shape[1]!, shape[0]!], data: async () => transpose(await data(), shape) };
  };
  const weights = await writeSafetensors(
    path.join(outputDir, 'adapters.safetensors'),
    form.updates.flatMap(({ module, a, b }) => [
      factor(`${module}.lora_a`, a),
      factor(`${module}.lora_b`, b),
    ]),
    { onBytes, metadata: { format: 'mlx' } },
  );
  const config = {
    fine_tune_type: 'lora',
    num_layers: architecture.layers,
    lora_parameters: {
      rank,
      scale,
      dropout: 0,
      keys: keysOf(
        form.updates.map(({ module }) => module),
        architecture.layers,
      ),
    },
    ...(adapter.common.base_model_name_or_path ? { model: adapter.common.base_model_name_or_path } : {}),
  };
  return {
    files: [
      { ...weights, path: 'adapters.safetensors' },
      await writeSmallFile(outputDir, 'adapter_config.json', jsonText(config)),
    ],
    notes: [
      ...(padded > 0
        ? [`${padded} of ${ranks.length} updates had a lower rank than ${rank}, and are padded with zeros.`]
        : []),
      ...(rescaled > 0
        ? [`${rescaled} of ${ranks.length} updates had another scale than ${scale}, which is now in their B.`]
        : []),
    ],
  };
};

/**
 * The modules' names within a layer, if all layers have the same ones, as in mlx-lm's own files; otherwise their paths, which mlx-lm reads as
 * well.
 */
function keysOf(modules: string[], layers: number): string[] {
  const within = modules.map((module) => module.replace(/^model\.layers\.\d+\./, ''));
  const names = [...new Set(within)];
  const isUniform = modules.length === names.length * layers && !names.some((name) => modules.includes(name));
  return isUniform ? names : modules;
}
