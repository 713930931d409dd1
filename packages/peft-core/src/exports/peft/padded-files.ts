import path from 'node:path';
import { adapterConfigText } from '../../adapter-files/adapter-config.ts';
import { configName, readPeftTexts, weightsName } from '../../adapter-files/adapter-files.ts';
import { outlineOf } from '../../outlines/index.ts';
import { readSafetensors } from '../../safetensors/safetensors.ts';
import { type WrittenFile, writeSafetensors } from '../../safetensors/write-safetensors.ts';
import { writeSmallFile } from '../../small-file.ts';
import { methodOf, type PeftConfig } from '../../tuners/methods.ts';
import { type LazyTensor, type PaddedUpdates, padUpdates } from '../pad-ranks.ts';

/** Writes the two files of an adapter whose updates have been padded to one rank. `baseName`: base_model_name_or_path. */
export async function writePaddedFiles(
  outputDir: string,
  { config, baseName }: { config: PeftConfig; baseName: string | null },
  { rank, scale, tensors }: Pick<PaddedUpdates, 'scale' | 'tensors'> & { rank: number },
  { onBytes }: { onBytes?: ((bytes: number) => void) | undefined } = {},
): Promise<WrittenFile[]> {
  const weights = await writeSafetensors(
    path.join(outputDir, weightsName),
    [...tensors].map(([name, { shape, data }]) => ({ name, shape, data })),
    { onBytes },
  );
  const text = adapterConfigText(methodOf(config).uniform!(config, rank, scale), baseName);
  return [{ ...weights, path: weightsName }, await writeSmallFile(outputDir, configName, text)];
}

/**
 * Writes an adapter's config and weights with its largest rank for all updates and one scale, for runtimes that ignore patterns of ranks and
 * scales (`isHeldPadded`). The function is the same. One tensor is in memory at a time. `modelConfig`: config.json of the base model.
 * Throws what `readAdapter` throws, and the signal's reason.
 */
export async function writePaddedAdapter(
  folder: string,
  outputDir: string,
  { modelConfig, signal }: { modelConfig: Record<string, unknown>; signal?: AbortSignal },
): Promise<void> {
  const { config, common } = await readPeftTexts(folder, 'CAUSAL_LM');
  const { updates } = methodOf(config).lowRank!(config, outlineOf(modelConfig, config.task_type));
  const rank = Math.max(...updates.map((update) => update.rank));
  const file = await readSafetensors(path.join(folder, weightsName));
  try {
    const read = async (key: string) => await file.readFloat32(key);
    const tensors = new Map<string, LazyTensor>();
    for (const key of file.names()) tensors.set(key, { shape: file.info(key).shape, data: () => read(key) });
    const padded = padUpdates(updates, tensors, read, rank);
    const of = { config, baseName: common.base_model_name_or_path };
    await writePaddedFiles(outputDir, of, { ...padded, rank }, { onBytes: () => signal?.throwIfAborted() });
  } finally {
    await file.close();
  }
}
