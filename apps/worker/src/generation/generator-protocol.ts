/** Messages between the worker and its generator: a child process that answers requests with a base model or adapter. */
import type { GenerateRequest } from '@graft/peft-core';

/** One request to generate, as plain data. All paths are absolute. */
export interface GeneratorRequest {
  /** Catalogue id of the base model, and its folder or file. */
  baseModel: string;
  basePath: string;
  /** Folder where its digest is kept. */
  digestCache: string;
  /** Folder of the adapter's files; null: the plain base model. */
  adapterDir: string | null;
  options: Omit<GenerateRequest, 'signal'>;
}

export interface GeneratorMessages {
  call: { type: 'generate'; request: GeneratorRequest };
  /** Tokens as far as this one. */
  event: { type: 'token'; text: string; promptTokens: number; completionTokens: number };
  result:
    | { type: 'done'; finishReason: 'stop' | 'length'; promptTokens: number; completionTokens: number }
    | { type: 'stopped' };
}
