/** Messages between the worker and its server: a child process that answers requests with a base model or adapter. */
import type { GenerateRequest } from '@graft/peft-core';
import type { TrainerFault } from '../training/trainer-protocol.ts';

/** One generation request, as plain data. All paths are absolute. */
export interface ServerRequest {
  /** Catalogue id of the base model, and its folder or file. */
  baseModel: string;
  basePath: string;
  /** Folder where its digest is kept. */
  digestCache: string;
  /** Folder of the adapter's files; null: the plain base model. */
  adapterDir: string | null;
  options: Omit<GenerateRequest, 'signal'>;
}

export type ToServer =
  | { type: 'generate'; request: ServerRequest }
  /** The client is gone: end the running request. */
  | { type: 'abort' };

export type FromServer =
  | { type: 'ready' }
  | { type: 'token'; text: string }
  /** The end of a request: exactly one of these three follows each `generate`. */
  | { type: 'done'; finishReason: 'stop' | 'length'; promptTokens: number; completionTokens: number }
  | { type: 'aborted' }
  | { type: 'failed'; fault: TrainerFault };
