import {
  type Answer,
  openRuntimeServer,
  type RuntimeOptions,
  type RuntimeServer,
  readAdapter,
} from './runtime-server.ts';

/**
 * Answers as SGLang 0.5 does, by its source: entrypoints/http_server.py, managers/tokenizer_communicator_mixin.py, lora/lora_manager.py and
 * lora/lora_registry.py. Above `maxLoaded` the adapter that was loaded first is evicted.
 */
export async function openSglangServer(options: Partial<RuntimeOptions> = {}): Promise<RuntimeServer> {
  return await openRuntimeServer(handle, options);
}

function handle(server: RuntimeServer, where: string, body: Record<string, unknown>): Answer {
  const { loaded, options } = server;
  const isLoad = where === '/load_lora_adapter';
  if (!isLoad && where !== '/unload_lora_adapter') return [404, { detail: 'Not Found' }];
  const { lora_name: name, lora_path: folder } = body as { lora_name: string; lora_path: string };
  if (!options.enableLora) return fault('LoRA is not enabled. Please set `--enable-lora` to enable LoRA.');
  if (!isLoad) {
    if (!loaded.delete(name))
      return fault(
        `LoRA with name ${name} does not exist. Loaded LoRAs: odict_keys([${[...loaded.keys()]}])`,
      );
    return success(loaded);
  }
  const adapter = readAdapter(folder);
  if (!adapter?.isWhole)
    return fault(
      `${folder} does not appear to have a file named adapter_config.json. Repo id must be in the form 'repo_name' or 'namespace/repo_name'`,
    );
  if (adapter.r > options.maxRank)
    return fault(
      `LoRA adapter ${name} with rank ${adapter.r} is incompatible with the current LoRA memory pool configuration. Please ensure that the LoRA adapter's rank is within the configured \`--max-lora-rank\` and that the target modules are included in \`--lora-target-modules\`.`,
    );
  if (loaded.has(name))
    return fault(`LoRA with name ${name} already exists. Loaded LoRAs: odict_keys([${[...loaded.keys()]}])`);
  loaded.set(name, folder);
  while (options.maxLoaded !== null && loaded.size > options.maxLoaded)
    loaded.delete(loaded.keys().next().value!);
  return success(loaded);
}

const success = (loaded: ReadonlyMap<string, string>): Answer => [
  200,
  { success: true, error_message: null, loaded_adapters: Object.fromEntries(loaded) },
];

const fault = (error_message: string): Answer => [
  400,
  { success: false, error_message, loaded_adapters: null },
];
