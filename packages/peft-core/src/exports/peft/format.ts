import { type Static, Type } from 'typebox';
import { adapterUsage, libraryTag } from '../../adapter-files/adapter-card.ts';
import { outlineOf } from '../../outlines/index.ts';
import { methodOf } from '../../tuners/methods.ts';
import type { ExportFormat } from '../export-format.ts';
import { vllmRank, vllmRanks } from './ranks.ts';

const PeftOptionsSchema = Type.Object(
  {
    pad_rank: Type.Boolean({
      default: false,
      description: `Give all updates one rank, the next of the limits that vLLM can have (${vllmRanks.join(', ')}), by rows and columns of zeros. The function is the same: the alpha follows the rank.`,
    }),
  },
  { additionalProperties: false },
);

export type PeftOptions = Static<typeof PeftOptionsSchema>;

export const peft: ExportFormat<PeftOptions> = {
  name: 'peft',
  title: 'PEFT adapter',
  summary: 'The files of the adapter itself, for runtimes that load it beside its base model.',
  runtimes: ['HF PEFT', 'transformers', 'vLLM', 'SGLang', 'TGI'],
  holds: 'Every adapter. With pad_rank only low-rank updates of linear layers and embeddings.',
  options: PeftOptionsSchema,
  card: {
    relation: () => 'adapter',
    library: (config) => (config ? libraryTag(config) : ['library_name: peft']),
    usage: ({ repository, base, modelClass, config }) =>
      config ? adapterUsage(config, base, { modelClass }, repository) : '',
    recognises: (names) => names.includes('adapter_config.json') && !names.includes('adapters.safetensors'),
  },
  refusal({ config, modelConfig }, { pad_rank }) {
    if (!pad_rank) return null;
    const method = methodOf(config);
    const form = method.lowRank?.(config, outlineOf(modelConfig, config.task_type));
    const param = 'options.pad_rank';
    if (!form) return { param, message: `pad_rank: ${config.peft_type} has no rank; leave the option out` };
    if (!method.uniform)
      return { param, message: `pad_rank: vLLM does not load ${config.peft_type}; leave the option out` };
    const experts = form.updates.find(({ kind }) => kind === 'experts');
    if (experts)
      return {
        param,
        message: `pad_rank: the adapter updates matrices of experts (${experts.module}), which vLLM does not take; export merged`,
      };
    const rank = Math.max(...form.updates.map((update) => update.rank));
    if (vllmRank(rank) === null)
      return {
        param,
        message: `pad_rank: the rank ${rank} is above ${vllmRanks.at(-1)}, the largest that vLLM takes; export merged`,
      };
    return null;
  },
  bytes({ config, modelConfig, adapterBytes }, { pad_rank }) {
    if (!pad_rank) return adapterBytes;
    const form = methodOf(config).lowRank?.(config, outlineOf(modelConfig, config.task_type));
    const { updates = [] } = form ?? {};
    const rank = vllmRank(Math.max(...updates.map((update) => update.rank))) ?? 0;
    const added = updates.reduce(
      (sum, update) => sum + (rank - update.rank) * (update.width + update.out),
      0,
    );
    // Offsets in the header have more digits.
    return adapterBytes + 4 * added + 64 * updates.length;
  },
};
