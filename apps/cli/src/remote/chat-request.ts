import type { ChatMessage } from '@graft/client';
import type { ConnectionOptions } from './connect.ts';

export interface ChatOptions extends ConnectionOptions {
  json?: boolean;
  model: string;
  message?: string;
  system?: string;
  maxTokens: number;
  temperature: number;
  topP?: number;
  seed?: number;
}

export function systemMessages(options: ChatOptions): ChatMessage[] {
  return options.system === undefined ? [] : [{ role: 'system', content: options.system }];
}

export function samplingOf(options: ChatOptions) {
  return {
    model: options.model,
    max_tokens: options.maxTokens,
    temperature: options.temperature,
    ...(options.topP === undefined ? {} : { top_p: options.topP }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  };
}
