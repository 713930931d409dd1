import type { ChatMessage } from '@graft/client';
import type { ConnectionOptions } from './connect.ts';

export interface ChatOptions extends ConnectionOptions {
  json?: boolean;
  model: string;
  message?: string;
  system?: string;
  maxTokens?: number;
  temperature?: number;
  topP?: number;
  seed?: number;
}

export function systemMessages(options: ChatOptions): ChatMessage[] {
  return options.system === undefined ? [] : [{ role: 'system', content: options.system }];
}

/** Only what was given: the service knows the defaults. */
export function samplingOf(options: ChatOptions) {
  return {
    model: options.model,
    ...(options.maxTokens === undefined ? {} : { max_tokens: options.maxTokens }),
    ...(options.temperature === undefined ? {} : { temperature: options.temperature }),
    ...(options.topP === undefined ? {} : { top_p: options.topP }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  };
}
