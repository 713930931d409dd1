/** Messages between the worker and its generator: a child process that answers requests with a base model and adapters on it. */
import type { GeneratedText, GenerateRequest, GenerateResult, ServingLimits } from '@graft/peft-core';
import type { ChildFault } from '../processes/child-fault.ts';

/** One request to generate, as plain data. All paths are absolute. */
export interface GeneratorRequest {
  /** Catalogue id of the base model, and its folder or file. */
  baseModel: string;
  basePath: string;
  /** Folder where its digest is kept. */
  digestCache: string;
  /** Folder of the adapter's files; null: the plain base model. */
  adapterDir: string | null;
  options: Omit<GenerateRequest, 'adapter' | 'team' | 'weight' | 'signal' | 'onPromptRead'>;
}

/** What is said of a request, by the id that it was sent with. */
interface Of {
  id: number;
}

/** The prompt was read; it may be refused for what was found. */
export interface ReadEvent {
  type: 'read';
  promptTokens: number;
}
/** Tokens as far as this one. */
export type TokenEvent = { type: 'token' } & Omit<GeneratedText, 'tokenId'>;
export type DoneEvent = { type: 'done' } & GenerateResult;

/** A call lasts from the first request to the time when all are answered, and more are sent meanwhile. */
export interface GeneratorMessages {
  call:
    | (Of & {
        type: 'generate';
        request: GeneratorRequest;
        team: string;
        weight: number;
        limits: Partial<ServingLimits>;
      })
    | (Of & { type: 'cancel' });
  event: Of & (ReadEvent | TokenEvent | DoneEvent | { type: 'refused'; fault: ChildFault });
  result: { type: 'stopped' };
}
