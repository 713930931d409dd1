import { type RuntimeName, runtimeTitles } from '@graft/wire/lists';
import { checkAnswer, type KnownAnswer, listModels } from './ask-runtime.ts';
import type { Runtime } from './runtime.ts';
import { vllm } from './vllm.ts';

/**
 * SGLang, started with `--enable-lora`, `--max-lora-rank` and `--lora-target-modules`. Source: python/sglang/srt/entrypoints/http_server.py,
 * managers/tokenizer_communicator_mixin.py, lora/lora_manager.py, lora/lora_registry.py. Its cache of prefixes is keyed by an id of each load.
 */
const sglang: Runtime = {
  title: runtimeTitles.sglang,
  list: async (ask) => await listModels(ask, 'SGLang'),
  load: async (ask, { name, path }) => {
    const answer = await ask('POST', '/load_lora_adapter', { lora_name: name, lora_path: path });
    checkAnswer('/load_lora_adapter', answer, [[/already exists|already loaded/, null], ...faults(path)]);
  },
  unload: async (ask, name) => {
    const answer = await ask('POST', '/unload_lora_adapter', { lora_name: name });
    checkAnswer('/unload_lora_adapter', answer, [[/does not exist/, null], ...faults('')]);
  },
};

const faults = (path: string): KnownAnswer[] => [
  [
    /^Not Found$/,
    'It has no path for loading adapters: SGLang has it since 0.4.9, and this may be another server.',
  ],
  [/LoRA is not enabled/i, 'It was started without adapters: start SGLang with --enable-lora.'],
  [
    /incompatible with the current LoRA memory pool/,
    'The rank of the adapter is above its limit, or its modules are not among those it was started with: start SGLang with a larger --max-lora-rank and with --lora-target-modules all.',
  ],
  [
    /dp_size must be 1/,
    'It runs with data parallelism, in which SGLang does not change adapters: start it with --dp-size 1.',
  ],
  [
    /No such file|not a valid model identifier|Repo id must|does not appear to have a file|Repository Not Found/i,
    `It cannot read ${path}: mount the shared folder on its machine, and give the path of the team's part there as folder.`,
  ],
];

/**
 * The runtimes that load and unload adapters while they run. TGI is not one of them: it reads the adapters of LORA_ADAPTERS at its start, and
 * has no path to add one (huggingface/text-generation-inference issue 2860).
 */
export const runtimes: Record<RuntimeName, Runtime> = { vllm, sglang };
