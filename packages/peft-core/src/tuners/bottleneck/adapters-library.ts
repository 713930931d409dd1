import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { pythonJson, readJsonFile } from '../../base-model/json-file.ts';
import { GraftError } from '../../errors.ts';
import { families } from '../../outlines/families.ts';
import { isClassifier, type ModelOutline, outlineOf } from '../../outlines/index.ts';
import { unnamedLabels } from '../../outlines/label-names.ts';
import { modelClass, taskOfClass } from '../../outlines/model-class.ts';
import { readAllTensors } from '../../safetensors/safetensors.ts';
import { isRecord } from '../../schema/check-fields.ts';
import type { HostTensor } from '../../tensors/tensor-source.ts';
import type { FilesRead, FilesToWrite, MethodFiles } from '../method-files.ts';
import { ADAPTER_NAME, type BottleneckConfig, FLOATS, UNIMPLEMENTED_OPTIONS } from './config.ts';

// Folders as the `adapters` library 1.3 writes them with use_safetensors (adapters, loading.py): one adapter, and the head that was
// trained with it, if there is one.
const version = '1.3.0';
const libraryVersion = `adapters.${version}`;
const weightsName = 'adapter.safetensors';
const headConfigName = 'head_config.json';
const headWeightsName = 'model_head.safetensors';
const interfaceName = 'adapter_interface.json';
/** `adapter_methods` of the library's model interfaces (adapters, wrappers/interfaces.py). */
const libraryMethods = ['bottleneck', 'lora', 'reft', 'invertible'];

export const adaptersLibrary: MethodFiles<BottleneckConfig> = {
  version,
  names: [weightsName, headConfigName, headWeightsName, interfaceName],
  /** The library writes no peft_type; the method's options are in `config`. */
  isOwn: (raw) => isRecord(raw.config) && typeof raw.model_class === 'string',
  read,
  write,
};

/**
 * Reads a folder of the `adapters` library whose adapter_config.json is `raw`. Returns a saved head as modules_to_save, and
 * keys with Graft's name for the adapter. Throws GraftError: `invalid_adapter`, `invalid_safetensors`,
 * `unimplemented_peft_type`, `unimplemented_peft_option`.
 */
async function read(folder: string, raw: Record<string, unknown>): Promise<FilesRead> {
  const { architecture = null, ...config } = raw.config as Record<string, unknown>;
  if (architecture !== null)
    throw new GraftError(
      'unimplemented_peft_type',
      `${folder} holds "${String(architecture)}" of the adapters library; of its methods Graft reads bottleneck adapters`,
      { param: 'adapter' },
    );
  const savedFrom = raw.model_class as string;
  const names = await readdir(folder);
  if (!names.includes(weightsName)) {
    const pickle = names.includes('pytorch_adapter.bin')
      ? ' (pytorch_adapter.bin is a pickle file, which is never read; save it with use_safetensors=True)'
      : '';
    throw invalid(`${folder} has no ${weightsName}${pickle}`);
  }
  const flexible = savedFrom.endsWith('AdapterModel');
  if (flexible && names.includes(headConfigName))
    throw new GraftError(
      'unimplemented_peft_option',
      `${folder} holds a head of ${savedFrom}, whose layout is its own; save the adapter from the plain …For… class, or without its head`,
      { param: 'adapter' },
    );
  const tensors = renamed(await readAllTensors(path.join(folder, weightsName)), raw.name, flexible);
  const head = names.includes(headWeightsName)
    ? await readAllTensors(path.join(folder, headWeightsName))
    : new Map<string, HostTensor>();
  const task = taskOfClass(savedFrom);
  if (!task) throw invalid(`${folder}: model_class "${savedFrom}" is for no task that Graft has`);
  return {
    config: {
      ...withoutIdle(config),
      peft_type: 'BOTTLENECK',
      preset: null,
      task_type: task,
      // A classifier's head is always trained.
      ...(head.has('lm_head.weight') ? { modules_to_save: ['lm_head'] } : {}),
    },
    baseModelName: typeof raw.model_name === 'string' ? raw.model_name : null,
    tensors: new Map([...tensors, ...head]),
    labels: isClassifier(task) ? await readLabels(folder) : null,
  };
}

/** The class names from the head's label2id, in order; null without label2id. */
async function readLabels(folder: string): Promise<string[] | null> {
  const { label2id } = (await readJsonFile(path.join(folder, headConfigName), 'invalid_adapter')) ?? {};
  if (!isRecord(label2id)) return null;
  return Object.entries(label2id)
    .sort(([, a], [, b]) => Number(a) - Number(b))
    .map(([name]) => name);
}

/** Sets options that the library ignores, because of other options, to the values that take effect. */
function withoutIdle(config: Record<string, unknown>): Record<string, unknown> {
  const idle: Record<string, unknown> = {};
  if (config.is_parallel === true)
    Object.assign(idle, { original_ln_before: false, residual_before_ln: true });
  if (config.is_parallel === true || config.ln_after !== true) idle.adapter_residual_before_ln = false;
  if (config.inv_adapter === null) idle.inv_adapter_reduction_factor = null;
  return { ...config, ...idle };
}

/** Replaces the adapter's name in the keys by Graft's. */
function renamed(
  tensors: Map<string, HostTensor>,
  name: unknown,
  flexible: boolean,
): Map<string, HostTensor> {
  const found = new Map<string, HostTensor>();
  for (const [key, tensor] of tensors) {
    const own = key.replace(`.adapters.${name}.`, `.adapters.${ADAPTER_NAME}.`);
    const prefix =
      families.find(({ optionalPrefix }) => own.startsWith(optionalPrefix))?.optionalPrefix ?? '';
    found.set(flexible ? own.slice(prefix.length) : own, tensor);
  }
  return found;
}

function write(
  peft: BottleneckConfig,
  adapter: FilesToWrite,
): ReturnType<MethodFiles<BottleneckConfig>['write']> {
  const { baseConfig, baseModelName, tensors } = adapter;
  const outline = outlineOf(baseConfig, peft.task_type);
  const common = {
    model_type: outline.modelType,
    hidden_size: outline.hiddenSize,
    model_name: baseModelName,
    model_class: modelClass(outline.modelType, peft.task_type),
    version: libraryVersion,
  };
  const isAdapter = (key: string) => key.includes(`.adapters.${ADAPTER_NAME}.`);
  const own = new Map([...tensors].filter(([key]) => isAdapter(key)));
  const head = new Map([...tensors].filter(([key]) => !isAdapter(key)));

  const { peft_type, task_type, modules_to_save, ...options } = peft;
  const config = { ...UNIMPLEMENTED_OPTIONS, ...options };
  const texts = new Map([
    ['adapter_config.json', pythonJson({ ...common, name: ADAPTER_NAME, config }, FLOATS)],
  ]);
  const weights = new Map([[weightsName, own]]);
  if (head.size > 0) {
    const labels = labelIds(adapter, outline);
    const about = {
      ...common,
      name: null,
      config: null,
      label2id: labels,
      num_labels: Object.keys(labels).length,
    };
    texts.set(headConfigName, pythonJson(about));
    weights.set(headWeightsName, head);
  }
  const points = outline.adaptersInterface;
  if (points)
    texts.set(
      interfaceName,
      pythonJson({
        interface: { ...points, adapter_methods: libraryMethods },
        model_type: outline.modelType,
        version: libraryVersion,
      }),
    );
  return { texts, weights };
}

/** A classifier's class ids by name; for other models two unnamed labels, as in transformers. */
function labelIds({ labels }: FilesToWrite, outline: ModelOutline): Record<string, number> {
  const heads = outline.modules.filter(({ name }) =>
    outline.taskHead.some((head) => name === head || name.startsWith(`${head}.`)),
  );
  const names = labels ?? unnamedLabels(heads.at(-1)?.out ?? 2);
  return Object.fromEntries(names.map((name, i) => [name, i]));
}

function invalid(message: string): GraftError {
  return new GraftError('invalid_adapter', message, { param: 'adapter' });
}
