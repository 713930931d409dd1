import { type Static, Type } from 'typebox';
import { weightTypes } from '../../base-model/weight-types.ts';
import { outlineOf } from '../../outlines/index.ts';
import { unmergeable } from '../../tuners/methods.ts';
import type { ExportedAdapter, ExportFormat, ExportRefusal } from '../export-format.ts';
import { mergedBytes } from './merged-bytes.ts';

export const mergeBase = Type.Enum(['original', 'dequantised'], {
  type: 'string',
  default: 'original',
  description:
    'The weights to merge into: the original ones, on which adapters are served; for an adapter trained with base_dtype int8 or nf4 also the dequantised ones on which it was trained.',
});

const MergedOptionsSchema = Type.Object(
  {
    dtype: Type.Enum([...weightTypes], {
      type: 'string',
      default: 'stored',
      description:
        'Type of the weights. "stored": each tensor has the type that it has in the base model, or float16 if that is a quantised GGUF file, and bfloat16 where it is MXFP4.',
    }),
    max_shard_bytes: Type.Integer({
      minimum: 1_000_000,
      maximum: 1_000_000_000_000,
      default: 5_000_000_000,
      description:
        'Maximum size of a file of weights, in bytes. A larger model has several files and an index; a single tensor that is larger has a separate file.',
    }),
    base: mergeBase,
  },
  { additionalProperties: false },
);

export type MergedOptions = Static<typeof MergedOptionsSchema>;

export const merged: ExportFormat<MergedOptions> = {
  name: 'merged',
  title: 'Merged model',
  summary:
    'A Hugging Face model folder with the adapter in its weights, for every program that loads safetensors.',
  runtimes: ['transformers', 'vLLM', 'SGLang', 'TGI', 'MLX', 'llama.cpp (converted)'],
  holds:
    'Everything that can be added to weights: updates with their scales and magnitudes, biases, norms, modules trained in full with the heads of classifiers, and rows of tokens. Soft prompts and layers between those of the model cannot.',
  options: MergedOptionsSchema,
  rendersTemplate: true,
  card: {
    relation: () => 'finetune',
    library: () => ['library_name: transformers'],
    usage: ({ repository, modelClass }) => `\`\`\`python
from transformers import ${modelClass}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(${JSON.stringify(repository)})
model = ${modelClass}.from_pretrained(${JSON.stringify(repository)})
\`\`\``,
    recognises: (names) =>
      names.includes('config.json') && names.some((name) => /^model.*\.safetensors$/.test(name)),
  },
  refusal: (adapter, options) => mergeRefusal(adapter) ?? filesRefusal(adapter, options),
  bytes: (adapter, { dtype }) => mergedBytes(adapter, dtype),
};

/** Maximum number of files of weights: a worker takes a folder of at most 1,000 files from its writer. */
const maxFiles = 900;

function filesRefusal(
  adapter: ExportedAdapter,
  { dtype, max_shard_bytes: largest }: MergedOptions,
): ExportRefusal | null {
  // A tensor is never split, and two files that follow each other have more than the maximum together.
  if (tensorCount(adapter) <= maxFiles) return null;
  const smallest = Math.ceil((2 * mergedBytes(adapter, dtype)) / (maxFiles - 1));
  if (largest >= smallest) return null;
  return {
    param: 'options.max_shard_bytes',
    message: `options.max_shard_bytes: ${largest} may give more than ${maxFiles} files, the most; use at least ${smallest}`,
  };
}

/** Number of tensors at most; a stack of experts is written as up to two matrices for each. */
function tensorCount({ tensors, modelConfig, config }: ExportedAdapter): number {
  const written = tensors.names().map((name) => {
    const { shape } = tensors.info(name);
    return shape.length === 3 ? 2 * shape[0]! : 1;
  });
  const own = outlineOf(modelConfig, config.task_type).parameters.length;
  return written.reduce((sum, count) => sum + count, own);
}

/** Why an adapter cannot be merged into the base model's weights; null if it can. */
export function mergeRefusal({ config, modelConfig }: ExportedAdapter): ExportRefusal | null {
  const reason = unmergeable(config, outlineOf(modelConfig, config.task_type));
  if (reason === null) return null;
  return {
    param: 'format',
    message: `${config.peft_type} cannot be merged: ${reason}. Serve the adapter with Graft, or export it as it is (format peft)`,
  };
}
