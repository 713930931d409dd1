import type { Runtime } from './runtime.ts';
import { sglang } from './sglang.ts';
import { vllm } from './vllm.ts';

/**
 * The runtimes that load and unload adapters while they run. TGI is not one of them: it reads the adapters of LORA_ADAPTERS at its start, and
 * has no path to add one (huggingface/text-generation-inference issue 2860).
 */
export const runtimes = [vllm, sglang] as const satisfies readonly Runtime[];

export function runtimeOf(name: string): Runtime {
  return runtimes.find((runtime) => runtime.name === name)!;
}
