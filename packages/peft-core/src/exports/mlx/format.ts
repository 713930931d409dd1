import { type Static, Type } from 'typebox';
import { type ModelOutline, outlineOf } from '../../outlines/index.ts';
import { invocationOf, methodOf } from '../../tuners/methods.ts';
import type { ExportedAdapter, ExportFormat, ExportRefusal } from '../export-format.ts';

const MlxOptionsSchema = Type.Object({}, { additionalProperties: false });

export type MlxOptions = Static<typeof MlxOptionsSchema>;

/** Families that mlx-lm has under the same module names, so that it reads their adapters. Source: mlx_lm/models. */
const modelTypes =
  'gemma3_text granite llama ministral3 mistral olmo2 olmo3 phi3 qwen2 qwen3 qwen3_moe smollm3'.split(' ');

/** A text as one word of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export const mlx: ExportFormat<MlxOptions> = {
  name: 'mlx',
  title: 'MLX adapter',
  summary:
    'adapters.safetensors and adapter_config.json of mlx-lm, to use the adapter on a Mac beside its base model.',
  runtimes: ['mlx-lm'],
  holds:
    'Low-rank updates of linear layers of decoders that mlx-lm has under the same names. Different ranks are padded with zeros and scales are multiplied into B.',
  options: MlxOptionsSchema,
  card: {
    relation: () => 'adapter',
    library: () => ['library_name: mlx'],
    usage: ({ repository, base }) => `\`\`\`sh
hf download ${repository} --local-dir adapter
mlx_lm.generate --model ${quoted(base)} --adapter-path adapter --prompt "Hello"
\`\`\``,
    recognises: (names) => names.includes('adapters.safetensors'),
  },
  refusal: mlxRefusal,
  bytes({ config, modelConfig }) {
    const outline = outlineOf(modelConfig, config.task_type);
    const { updates = [] } = methodOf(config).lowRank?.(config, outline) ?? {};
    const rank = Math.max(0, ...updates.map((update) => update.rank));
    const values = updates.reduce((sum, { width, out }) => sum + rank * (width + out), 0);
    const names = updates.reduce((sum, { module }) => sum + 3 * module.length + 220, 0);
    return 4 * values + names + 1024;
  },
};

function mlxRefusal({ config, modelConfig }: ExportedAdapter): ExportRefusal | null {
  if (invocationOf(config))
    return {
      param: 'format',
      message:
        'mlx-lm applies an adapter to every token, and this one is active only from its invocation tokens on: export peft or gguf-lora',
    };
  const outline = outlineOf(modelConfig, config.task_type);
  const reason = modelTypes.includes(outline.modelType)
    ? adapterReason(config, outline)
    : `mlx-lm has no models with the module names of ${outline.modelType}`;
  return reason
    ? { param: 'format', message: `${reason}: export merged, and give mlx-lm that folder` }
    : null;
}

function adapterReason(config: ExportedAdapter['config'], outline: ModelOutline): string | null {
  const form = methodOf(config).lowRank?.(config, outline);
  if (!form) return `mlx-lm reads low-rank updates only, and this is ${config.peft_type}`;
  if (config.task_type !== 'CAUSAL_LM')
    return `mlx-lm generates text only, and the adapter's task is ${config.task_type}`;
  if (form.others.length > 0) return `mlx-lm reads no ${form.others.join(' and no ')}`;
  const other = form.updates.find(({ kind }) => kind !== 'linear');
  if (other)
    return `mlx-lm reads no updates of ${other.kind === 'embedding' ? 'the embedding' : 'experts'} ${other.module}`;
  const tied = form.updates.find(({ module }) => `${module}.weight` in outline.aliases);
  return tied ? `in mlx-lm ${tied.module} is the embedding, which has no separate update` : null;
}
