import { runtimeTitles } from '@graft/wire/lists';
import { checkAnswer, type KnownAnswer, listModels } from './ask-runtime.ts';
import type { Runtime } from './runtime.ts';

/**
 * vLLM, started with `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True. Source: vllm/entrypoints/openai/models/serving.py,
 * vllm/entrypoints/serve/lora/api_router.py, vllm/lora/worker_manager.py, vllm/exceptions.py.
 *
 * `load_inplace` is not used: the cache of prefixes is keyed by an adapter's name (vllm-project/vllm issue 42125), so the next version under
 * the same name would continue from keys and values of the previous one.
 */
export const vllm: Runtime = {
  title: runtimeTitles.vllm,
  list: async (ask) => await listModels(ask, 'vLLM'),
  load: async (ask, { name, path }) => {
    const answer = await ask('POST', '/v1/load_lora_adapter', { lora_name: name, lora_path: path });
    checkAnswer('/v1/load_lora_adapter', answer, [[/has already been ?loaded/, null], ...faults(path)]);
  },
  unload: async (ask, name) => {
    const answer = await ask('POST', '/v1/unload_lora_adapter', { lora_name: name });
    checkAnswer('/v1/unload_lora_adapter', answer, [[/cannot be found/, null], ...faults('')]);
  },
};

const faults = (path: string): KnownAnswer[] => [
  [
    /^Not Found$/,
    'Its adapters cannot be changed while it runs: start vLLM with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True.',
  ],
  [/LoRA is not enabled/i, 'It was started without adapters: start vLLM with --enable-lora.'],
  [
    /greater than max_lora_rank/,
    'The rank of the adapter is above its limit: start vLLM with a larger --max-lora-rank, or deploy a version of smaller rank.',
  ],
  [
    /No adapter found for|Loading lora .* failed|lora_path|allowed prefix/is,
    `It cannot read ${path}: mount the shared folder on its machine, and give the path of the team's part there as folder.`,
  ],
];
