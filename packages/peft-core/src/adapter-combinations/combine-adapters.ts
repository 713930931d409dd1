import path from 'node:path';
import type { Adapter } from '../adapter-files/adapter.ts';
import { configName, readPeftTexts, weightsName, writePeftAdapter } from '../adapter-files/adapter-files.ts';
import { GraftError } from '../errors.ts';
import { COMBINED_ADAPTERS } from '../lists.ts';
import { defaultTask, outlineOf } from '../outlines/index.ts';
import { readSafetensors, type SafetensorsFile } from '../safetensors/safetensors.ts';
import type { WrittenFile } from '../safetensors/write-safetensors.ts';
import { throwFaults } from '../schema/check-fields.ts';
import { type Combination, combinationFaults } from '../schema/combination.ts';
import type { FileTensor } from '../tuners/file-tensors.ts';
import type { CombinedTensors } from '../tuners/method.ts';
import { methodOf, type PeftConfig } from '../tuners/methods.ts';

/** An adapter in a folder in the format of HF PEFT. */
export interface CombinationSource {
  folder: string;
  /** Its name in messages and in README.md. */
  name: string;
  weight: number;
}

export interface CombinationRequest {
  sources: readonly CombinationSource[];
  output: string;
  base: {
    /** config.json. */
    config: Record<string, unknown>;
    /** SHA-256 (hex) of the weights; null if it is not known. */
    digest: string | null;
    /** The name that adapter_config.json gives. */
    name: string;
  };
  options: Combination;
}

export interface CombinedAdapters {
  peft: PeftConfig;
  files: WrittenFile[];
}

/**
 * Combines adapters of one base model into a new one, without the base's weights. Reads, computes and writes one module at a time.
 * Throws `invalid_value` for options, `not_combinable`, `rank_too_large`, `base_model_changed` if an adapter was trained on other
 * weights, `adapter_does_not_fit`, and what reading throws.
 */
export async function combineAdapters(request: CombinationRequest): Promise<CombinedAdapters> {
  const { sources, output, base, options } = request;
  throwFaults(combinationFaults(options));
  const { least, most } = COMBINED_ADAPTERS;
  if (sources.length < least || sources.length > most)
    throw notCombinable(`${least} to ${most} adapters can be combined, not ${sources.length}.`);
  const adapters: (CombinationSource & Omit<Adapter, 'tensors'>)[] = [];
  for (const { folder, name, weight } of sources)
    adapters.push({ folder, name, weight, ...(await readPeftTexts(folder, defaultTask(base.config))) });
  const first = adapters[0]!;
  for (const { config, name, baseDigest } of adapters) {
    if (config.peft_type !== first.config.peft_type || config.task_type !== first.config.task_type)
      throw notCombinable(
        `${name} is ${config.peft_type} for ${config.task_type} and ${first.name} is ${first.config.peft_type} for ${first.config.task_type}; combine adapters of one method and task.`,
      );
    if (base.digest !== null && baseDigest !== null && baseDigest !== base.digest)
      throw new GraftError(
        'base_model_changed',
        `sources: ${name} was trained on other weights than ${base.name} has now.`,
        { param: 'sources' },
      );
  }
  const { combine } = methodOf(first.config);
  if (!combine) throw notCombinable(`adapters of ${first.config.peft_type} cannot be combined.`);
  const model = outlineOf(base.config, first.config.task_type);
  const plan = combine(adapters, model, options);
  const files: SafetensorsFile[] = [];
  try {
    for (const { folder } of adapters) files.push(await readSafetensors(path.join(folder, weightsName)));
    const read = async (adapter: number, tensor: FileTensor) =>
      await readTensor(files[adapter]!, adapters[adapter]!.name, tensor);
    const tensors = new Map(plan.groups.flatMap((group) => computed(group, read)));
    for (const tensor of plan.copied)
      if (files[0]!.has(tensor.key))
        tensors.set(tensor.key, { shape: tensor.shape, data: () => read(0, tensor) });
    const same = <T>(values: T[]): T | null => (new Set(values).size === 1 ? values[0]! : null);
    const kwargs = same(adapters.map(({ templateKwargs }) => JSON.stringify(templateKwargs)));
    const prompts = same(adapters.map(({ sentencePrompts }) => JSON.stringify(sentencePrompts)));
    const written = await writePeftAdapter(output, {
      peft: plan.config,
      baseModelNameOrPath: base.name,
      tensors,
      baseConfig: base.config,
      baseDigest: base.digest,
      chatTemplate: same(adapters.map(({ chatTemplate }) => chatTemplate)),
      sentencePrompts: prompts === null ? null : first.sentencePrompts,
      card: {
        templateKwargs: kwargs === null ? null : first.templateKwargs,
        combined: { type: options.combination_type, sources },
      },
    });
    return { peft: plan.config, files: written.files };
  } finally {
    for (const file of files) await file.close();
  }
}

function notCombinable(message: string): GraftError {
  return new GraftError('not_combinable', `sources: ${message}`, { param: 'sources' });
}

/** Throws `adapter_does_not_fit` for a tensor that is missing or has another shape. */
async function readTensor(
  file: SafetensorsFile,
  name: string,
  { key, shape }: FileTensor,
): Promise<Float32Array> {
  const found = file.has(key) ? file.info(key).shape.join() : null;
  if (found === shape.join()) return await file.readFloat32(key);
  throw new GraftError(
    'adapter_does_not_fit',
    `sources: ${weightsName} of ${name} has ${found === null ? 'no tensor' : `shape [${found}] for`} "${key}", and ${configName} needs [${shape}].`,
    { param: 'sources' },
  );
}

/** The tensors of a group, which is computed when the first is written and released with the last. */
function computed(
  { tensors, compute }: CombinedTensors,
  read: Parameters<CombinedTensors['compute']>[0],
): [string, { shape: number[]; data: () => Promise<Float32Array> }][] {
  let values: Promise<Float32Array[]> | null = null;
  let waiting = tensors.length;
  return tensors.map(({ key, shape }, i) => [
    key,
    {
      shape,
      async data() {
        values ??= compute(read);
        const own = (await values)[i]!;
        if (--waiting === 0) values = null;
        return own;
      },
    },
  ]);
}
