import {
  type Answer,
  openRuntimeServer,
  type RuntimeOptions,
  type RuntimeServer,
  readAdapter,
} from './runtime-server.ts';

/**
 * Answers as vLLM 0.11 to 0.30 does, by its source: vllm/entrypoints/openai/models/serving.py, entrypoints/serve/lora/api_router.py,
 * lora/peft_helper.py. The paths exist only with VLLM_ALLOW_RUNTIME_LORA_UPDATING.
 */
export async function openVllmServer(options: Partial<RuntimeOptions> = {}): Promise<RuntimeServer> {
  return await openRuntimeServer(handle, options);
}

function handle(server: RuntimeServer, where: string, body: Record<string, unknown>): Answer {
  const { loaded, options } = server;
  const isLoad = where === '/v1/load_lora_adapter';
  if (!options.allowUpdating || (!isLoad && where !== '/v1/unload_lora_adapter'))
    return [404, { detail: 'Not Found' }];
  const { lora_name: name, lora_path: folder, load_inplace: inPlace = false } = body;
  if (typeof name !== 'string' || (isLoad && typeof folder !== 'string'))
    return [422, { detail: [{ type: 'missing', loc: ['body', 'lora_path'], msg: 'Field required' }] }];
  if (!isLoad) {
    if (!loaded.delete(name))
      return fault(404, 'NotFoundError', `The lora adapter '${name}' cannot be found.`);
    return [200, `Success: LoRA adapter '${name}' removed successfully.`];
  }
  if (loaded.has(name) && !inPlace)
    return fault(
      400,
      'InvalidUserInput',
      `The lora adapter '${name}' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.`,
    );
  if (!options.enableLora) return fault(500, 'InternalServerError', 'LoRA is not enabled.');
  const adapter = readAdapter(folder as string);
  if (!adapter)
    return fault(404, 'NotFoundError', `Loading lora ${name} failed: No adapter found for ${folder}`);
  const faults = [
    ...(adapter.use_dora ? ['vLLM does not yet support DoRA.'] : []),
    ...(adapter.r > options.maxRank
      ? [`LoRA rank ${adapter.r} is greater than max_lora_rank ${options.maxRank}.`]
      : []),
    ...(adapter.isWhole ? [] : [`${folder} doesn't contain tensors`]),
  ];
  if (faults.length > 0) return fault(500, 'InternalServerError', faults.join(' '));
  loaded.set(name, folder as string);
  return [200, `Success: LoRA adapter '${name}' added successfully.`];
}

const fault = (code: number, type: string, message: string): Answer => [
  code,
  { error: { message, type, param: null, code } },
];
