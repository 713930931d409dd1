import { type Static, Type } from 'typebox';
import { ggufBytes } from '../../gguf/write-gguf.ts';
import type { ExportedAdapter, ExportFormat, ExportRefusal, FormatCard } from '../export-format.ts';
import { mergeBase, mergeRefusal } from '../merged/format.ts';
import { untiedWeights } from '../merged/merged-bytes.ts';
import { type FileType, fileTypes } from './file-types.ts';
import { ggufModel, modelRefusal, plannedTensors } from './gguf-model.ts';

const GgufOptionsSchema = Type.Object(
  {
    dtype: Type.Enum(Object.keys(fileTypes) as FileType[], {
      type: 'string',
      default: 'q8_0',
      description:
        'Type of the weights, as in the names of llama-quantize: f32, f16 and bf16 are exact up to rounding; q8_0 takes 8.5 bits a weight, q6_k 6.6, q5_k_m about 5.7, q4_k_m about 4.9; mxfp4_moe stores experts in 4.25 bits, which is exact for experts that were MXFP4 and that the adapter leaves as they are, and the rest as q8_0.',
    }),
    base: mergeBase,
  },
  { additionalProperties: false },
);

export type GgufOptions = Static<typeof GgufOptionsSchema>;

export const ggufName = 'model.gguf';

const floats = ['f32', 'f16', 'bf16'];

const ggufCard: FormatCard = {
  relation: ({ dtype }) => (floats.includes(String(dtype)) ? 'finetune' : 'quantized'),
  library: () => ['library_name: gguf'],
  usage: ({ repository }) => `\`\`\`sh
llama-cli -hf ${repository} --hf-file ${ggufName}
\`\`\``,
  recognises: (names) => names.includes(ggufName) && !names.includes('Modelfile'),
};

export const gguf: ExportFormat<GgufOptions> = {
  name: 'gguf',
  title: 'GGUF model',
  summary:
    'One file with the merged model, quantised if you want, for llama.cpp and the programs built on it.',
  runtimes: ['llama.cpp', 'Ollama', 'LM Studio', 'KoboldCpp', 'GPT4All', 'Jan'],
  holds:
    'Everything that can be added to the weights of a language model: updates with their scales and magnitudes, biases, norms, modules trained in full and rows of tokens.',
  options: GgufOptionsSchema,
  card: ggufCard,
  rendersTemplate: true,
  refusal: (adapter, { dtype }) =>
    modelRefusal(adapter.modelConfig, adapter.config.task_type) ??
    typeRefusal(adapter, dtype) ??
    mergeRefusal(adapter),
  bytes: ggufModelBytes,
};

function typeRefusal({ modelConfig }: ExportedAdapter, dtype: FileType): ExportRefusal | null {
  const { routing } = ggufModel(modelConfig)!.outline;
  if (dtype !== 'mxfp4_moe' || routing) return null;
  const message = 'dtype: mxfp4_moe is for matrices of experts, and this model has none; choose q8_0';
  return { param: 'options.dtype', message };
}

function ggufModelBytes(
  { config, modelConfig, smallFileBytes }: ExportedAdapter,
  { dtype }: GgufOptions,
): number {
  const model = ggufModel(modelConfig)!;
  const { parameters } = model.outline;
  const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]));
  const untied = untiedWeights(config, model.outline).map(({ name, source }) => ({
    name,
    shape: shapes.get(source)!,
  }));
  const tensors = plannedTensors(model, [...parameters, ...untied], dtype).map(
    ({ ggufName, ggufShape, type }) => ({ name: ggufName, shape: ggufShape, type }),
  );
  return Math.ceil(ggufBytes({}, tensors) + smallFileBytes + 65_536);
}
