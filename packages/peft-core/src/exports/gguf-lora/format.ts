import { type Static, Type } from 'typebox';
import { writtenNames } from '../../gguf/names.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import type { LowRankForm } from '../../tuners/method.ts';
import { methodOf, type PeftConfig } from '../../tuners/methods.ts';
import type { ExportedAdapter, ExportFormat, ExportRefusal } from '../export-format.ts';
import { type GgufModel, ggufModel, modelRefusal } from '../gguf/gguf-model.ts';
import { updateTensors } from './update-tensors.ts';

export const ggufAdapterName = 'adapter.gguf';

const GgufAdapterOptionsSchema = Type.Object(
  {
    dtype: Type.Enum(['f32', 'f16', 'bf16'], {
      type: 'string',
      default: 'f32',
      description: 'Type of the matrices.',
    }),
  },
  { additionalProperties: false },
);

export type GgufAdapterOptions = Static<typeof GgufAdapterOptionsSchema>;

export const ggufAdapter: ExportFormat<GgufAdapterOptions> = {
  name: 'gguf-lora',
  title: 'GGUF adapter',
  summary:
    'One small file with the adapter alone, which llama.cpp loads beside a GGUF file of its base model.',
  runtimes: ['llama.cpp (--lora)', 'KoboldCpp'],
  holds:
    'Low-rank updates of linear layers, of experts and of an embedding apart from the head, with their scales; no magnitudes (DoRA), biases, norms, modules trained in full, rows of tokens, or updates of a tied head.',
  options: GgufAdapterOptionsSchema,
  card: {
    relation: () => 'adapter',
    library: () => ['library_name: gguf'],
    usage: ({ repository }) => `\`\`\`sh
hf download ${repository} ${ggufAdapterName} --local-dir .
llama-server -m base.gguf --lora ${ggufAdapterName}  # base.gguf: the base model as a GGUF file
\`\`\``,
    recognises: (names) => names.includes(ggufAdapterName),
  },
  refusal,
  bytes({ modelConfig, config }, { dtype }) {
    const model = ggufModel(modelConfig)!;
    const tensors = updateTensors(model, lowRankOf(config, model)!);
    const width = dtype === 'f32' ? 4 : 2;
    return tensors.reduce((sum, { shape }) => sum + elementCount(shape) * width + 160, 4096);
  },
};

const lowRankOf = (config: PeftConfig, { outline }: GgufModel): LowRankForm | undefined =>
  methodOf(config).lowRank?.(config, outline);

function refusal({ config, modelConfig }: ExportedAdapter): ExportRefusal | null {
  const refused = modelRefusal(modelConfig, config.task_type);
  if (refused) return refused;
  const refuse = (message: string) => ({
    param: 'format',
    message: `${message}; export gguf, which has the adapter in the model's weights`,
  });
  const model = ggufModel(modelConfig)!;
  const form = lowRankOf(config, model);
  if (!form) return refuse(`${config.peft_type}: GGUF adapters hold low-rank updates only`);
  if (form.others.length > 0)
    return refuse(`GGUF adapters hold low-rank updates only, and this one has ${form.others.join(', ')}`);
  const { aliases } = model.outline;
  const tied = [...Object.keys(aliases), ...Object.values(aliases)];
  for (const { module, kind } of form.updates) {
    if (tied.includes(`${module}.weight`))
      return refuse(
        `${module} shares its weights with ${otherOf(aliases, module)}, and llama.cpp would update both`,
      );
    const name = kind === 'experts' ? module : `${module}.weight`;
    const written = writtenNames(model.family, model.outline, name);
    if (written.length === 0 || written.some(({ part }) => model.family.partsWithoutUpdates?.includes(part)))
      return refuse(`llama.cpp updates no weights of ${module}`);
  }
  return null;
}

function otherOf(aliases: Readonly<Record<string, string>>, module: string): string {
  const pair = Object.entries(aliases).find((names) => names.includes(`${module}.weight`))!;
  return pair.find((name) => name !== `${module}.weight`)!.replace(/\.weight$/, '');
}
