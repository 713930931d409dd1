import { GraftError } from '../../errors.ts';
import type { WrittenFile } from '../../safetensors/write-safetensors.ts';
import { methodOf } from '../../tuners/methods.ts';
import { copyFile } from '../copy-file.ts';
import type { ExportJob, ExportWriter } from '../export-writer.ts';
import { filesOf } from '../exported-adapter.ts';
import { padRanks } from '../pad-ranks.ts';
import type { PeftOptions } from './format.ts';
import { writePaddedFiles } from './padded-files.ts';
import { vllmRank } from './ranks.ts';

/** Files that belong to an adapter: of PEFT, of the adapters library, and Graft's own. */
const adapterFile = /\.(json|safetensors|md|jinja)$/;

/** Copies the adapter's files; with pad_rank its tensors and its config are written again. */
export const writePeft: ExportWriter<PeftOptions> = async (job) => {
  const { adapterDir, outputDir, options, onBytes } = job;
  const padded = options.pad_rank ? await writePadded(job) : { files: [], notes: [] };
  const done = new Set(padded.files.map((file) => file.path));
  const files = [...padded.files];
  for (const { name } of await filesOf(adapterDir))
    if (adapterFile.test(name) && !done.has(name))
      files.push(await copyFile(adapterDir, outputDir, name, onBytes));
  if (files.length === 0)
    throw new GraftError('invalid_adapter', `${adapterDir} has no files of an adapter: choose its folder`, {
      param: 'adapter',
    });
  return { files, notes: padded.notes };
};

async function writePadded({
  outputDir,
  onBytes,
  fitting: { adapter, architecture },
}: ExportJob<PeftOptions>): Promise<{ files: WrittenFile[]; notes: string[] }> {
  const { config, common } = adapter;
  const form = methodOf(config).lowRank!(config, architecture);
  const ranks = [...new Set(form.updates.map((update) => update.rank))].sort((a, b) => a - b);
  const rank = vllmRank(ranks.at(-1)!)!;
  const { scale, rescaled, tensors } = padRanks(form, adapter.tensors, rank);
  const of = { config, baseName: common.base_model_name_or_path };
  return {
    files: await writePaddedFiles(outputDir, of, { rank, scale, tensors }, { onBytes }),
    notes: [
      `Padded rank ${ranks.join(', ')} to ${rank} with zeros; lora_alpha is ${scale * rank}, so that the function is the same.`,
      ...(rescaled === 0
        ? []
        : [`${rescaled} of ${form.updates.length} updates had another scale, which is now in their B.`]),
    ],
  };
}
