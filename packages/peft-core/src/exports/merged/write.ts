import { companionNames, copyCompanions } from '../../base-model/companion-files.ts';
import { GraftError } from '../../errors.ts';
import {
  type BaseModel,
  type ModelTensor,
  type QuantisedBase,
  untiedFields,
  withTurnEnds,
  writeModelFolder,
  writeSentenceFiles,
} from '../../files.ts';
import { familyOf } from '../../outlines/families.ts';
import { writesText } from '../../outlines/index.ts';
import { modelClass } from '../../outlines/model-class.ts';
import { shapeInFiles, storedName } from '../../outlines/outline.ts';
import { adapterConfig } from '../../peft-model/adapter-architecture.ts';
import type { FittingAdapter } from '../../peft-model/adapter-fit.ts';
import { splitStack } from '../../tensors/stacked-tensors.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { turnedBack } from '../../tensors/turned-experts.ts';
import { loadTokenizer, withChatTemplate } from '../../text/index.ts';
import { keysOf } from '../../tuners/registry.ts';
import type { Merge } from '../../tuners/tuner.ts';
import { dequantised } from '../../weights/base-storage.ts';
import type { ExportWriter } from '../export-writer.ts';
import type { MergedOptions } from './format.ts';

/**
 * Writes the base model with an adapter merged into its weights as a plain Hugging Face folder. Its generation_config.json also ends
 * answers at the end of a turn. With `base` "dequantised" the base's weights are first quantised as in the adapter's training, and
 * unpacked: the result is then the model that was trained. Throws `base_not_quantised` if the adapter's files name no quantised base.
 */
export const writeMerged: ExportWriter<MergedOptions> = async ({
  base,
  outputDir,
  options,
  fitting,
  onBytes,
}) => {
  const { adapter } = fitting;
  const { task_type: task } = adapter.config;
  const model = mergedModel(base, fitting, options.base);
  const tokenizerFiles = withChatTemplate(base.tokenizerFiles, adapter.chatTemplate);
  const files = await writeModelFolder(outputDir, {
    base,
    ...model,
    tokenizerFiles,
    config: {
      ...adapterConfig(base, adapter),
      architectures: [modelClass(base.modelType, task)],
      ...(model.untied.length > 0 ? untiedFields(base.config) : {}),
    },
    generationConfig: writesText(task)
      ? withTurnEnds(base, loadTokenizer(tokenizerFiles))
      : base.generationConfig,
    dtype: options.dtype,
    shardBytes: options.max_shard_bytes,
    onBytes,
  });
  files.push(...(await copyCompanions(base.path, outputDir, companionNames)));
  if (task === 'FEATURE_EXTRACTION')
    files.push(
      ...(await writeSentenceFiles(outputDir, base.path, fitting.architecture, adapter.sentencePrompts)),
    );
  return { files, notes: adapter.quantised ? [whatIsLost(options.base, adapter.quantised)] : [] };
};

/** The tensors of a base model with an adapter merged into them. */
export interface MergedTensors {
  tensors: ModelTensor[];
  /** Names of the base's tensors that `tensors` holds. */
  replaced: string[];
  /** Tied weights that the adapter changes apart from their source, and that are separate weights now. */
  untied: string[];
}

/**
 * The tensors that an adapter changes, and the parameters that its architecture has beside the base model's. `into`: the weights that the
 * adapter is merged into. One tensor is computed at a time, when it is requested. Throws `base_not_quantised`.
 */
export function mergedModel(
  base: BaseModel,
  { adapter, architecture, attachment }: FittingAdapter,
  into: MergedOptions['base'],
): MergedTensors {
  const { merges, untied, values, stored, unpacks } = mergedParameters(
    base,
    { adapter, architecture, attachment },
    into,
  );
  // A head that the base lacks comes from the adapter; parameters that neither has are omitted. The others are copied.
  const own = architecture.parameters.filter(({ name, turned }) => {
    const source = stored(name);
    if (merges.has(name)) return true;
    return source !== undefined && (unpacks || source !== name || turned || isStack(base, name));
  });
  return {
    tensors: [...own, ...untied].flatMap((parameter): ModelTensor[] => {
      const { name, shape } = parameter;
      const source = stored(name);
      const dtype = source ? { stored: base.tensors.info(source).dtype } : {};
      if ('turned' in parameter) {
        const data = async () => turnedBack(await values(name), shape);
        return [{ name, shape: shapeInFiles(parameter), ...dtype, data }];
      }
      return storedTensors(base, { name, shape, ...dtype }, values);
    }),
    replaced: own.flatMap(({ name }) => stored(name) ?? []),
    untied: untied.map(({ name }) => name),
  };
}

/** The parameters of a base model with an adapter merged into them. */
export interface MergedParameters {
  merges: ReadonlyMap<string, Merge>;
  /** Tied parameters that the adapter changes apart from their source, and that are separate now. */
  untied: Pick<ModelTensor, 'name' | 'shape'>[];
  /** The name of the base's tensor with a parameter's values; undefined if it has none. */
  stored(name: string): string | undefined;
  /** The values of a parameter, computed at each call. */
  values(name: string): Promise<Float32Array>;
  /** The base's weights are those of its quantised form. */
  unpacks: boolean;
}

/** The parameters of a model with an adapter: one at a time is read and merged, when it is requested. Throws `base_not_quantised`. */
export function mergedParameters(
  base: BaseModel,
  { adapter, architecture, attachment }: FittingAdapter,
  into: MergedOptions['base'],
): MergedParameters {
  const { config, tensors, quantised } = adapter;
  if (into === 'dequantised' && !quantised) {
    throw new GraftError(
      'base_not_quantised',
      'the README.md of the adapter names no quantised base that it was trained on, such as base_dtype: "nf4" between its first lines of ---',
      { param: 'options.base' },
    );
  }
  const keyOf = keysOf(config);
  const { merges = new Map<string, Merge>() } = attachment;
  const trainedOn =
    into === 'dequantised' && quantised ? dequantised(architecture, quantised.base_dtype) : null;

  const stored = (name: string) => storedName(architecture, name, base.tensors);
  const merged = async (name: string): Promise<Float32Array> => {
    const source = stored(name);
    const read = source ? await base.tensors.readFloat32(source) : new Float32Array(0);
    const data = trainedOn ? trainedOn(name, read) : read;
    const merge = merges.get(name);
    return merge ? merge(data, (key: string) => tensors.get(keyOf(key))!.data) : data;
  };

  // A tied weight with another merge than its source becomes a separate weight.
  const untied = Object.entries(architecture.aliases)
    .filter(([alias, source]) => merges.get(alias) !== merges.get(source))
    .map(([name, source]) => ({
      name,
      shape: architecture.parameters.find((p) => p.name === source)!.shape,
    }));
  return { merges, untied, stored, values: merged, unpacks: trainedOn !== null };
}

const isStack = ({ modelType }: BaseModel, name: string): boolean =>
  Object.keys(familyOf(modelType).expertTensors ?? {}).some(
    (end) => name === end || name.endsWith(`.${end}`),
  );

/** The tensors of a merged parameter: itself, or, as transformers writes experts, one for each expert's matrix. */
function storedTensors(
  base: BaseModel,
  { name, shape, ...dtype }: Pick<ModelTensor, 'name' | 'shape' | 'stored'>,
  merged: (name: string) => Promise<Float32Array>,
): ModelTensor[] {
  const parts = splitStack(name, shape, familyOf(base.modelType).expertTensors ?? {});
  if (parts.length === 0) return [{ name, shape, ...dtype, data: () => merged(name) }];
  // Tensors are written in the order of their names, so that those of several weights alternate.
  let values: Promise<Float32Array> | null = null;
  let waiting = parts.length;
  return parts.map((part) => ({
    name: part.name,
    shape: part.shape,
    ...dtype,
    async data() {
      values ??= merged(name);
      const own = (await values).slice(part.start, part.start + elementCount(part.shape));
      // The last part releases the whole.
      if (--waiting === 0) values = null;
      return own;
    },
  }));
}

/** Describes how a merge changes an adapter that was trained on a quantised base. */
export function whatIsLost(into: MergedOptions['base'], quantised: QuantisedBase): string {
  const { base_dtype: dtype, quantised_validation_loss: own, validation_loss: served } = quantised;
  if (into === 'dequantised') {
    const known = own === null ? '' : `, whose validation loss was ${figure(own)}`;
    return `The merged model is the one that was trained, on the base in ${dtype}${known}.`;
  }
  const offer = 'The option base "dequantised" merges into the weights that it was trained on.';
  if (own === null || served === null)
    return `The adapter was trained on the base in ${dtype}: on the original weights the model is not exactly the one that was trained. ${offer}`;
  return `The adapter was trained on the base in ${dtype}: its validation loss was ${figure(own)} there, and is ${figure(served)} on the original weights, ${figure(Math.abs(served - own))} ${served < own ? 'less' : 'more'}. ${offer}`;
}

const figure = (loss: number): string => String(Number(loss.toPrecision(6)));
