import { createHash } from 'node:crypto';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import { readingOptions } from '@graft/peft-core/examples';
import type { PackedTokenizer } from '@graft/peft-core/text';
import type { LocalBaseModel } from '@graft/service/base-models';

export interface TaskTokenizer {
  /** Identifies the tokenizer with its template. The files are sent only if the thread's previous task used another tokenizer. */
  tokenizerKey: string;
  tokenizerFiles: PackedTokenizer['json'] | null;
  /** The chat template that replaces the base model's; null: the base model's. */
  chatTemplate: string | null;
}

/** The tokenizer of a job: the base model's, with the job's own chat template if it has one. */
export function taskTokenizer(
  { key, json }: PackedTokenizer,
  training: { chat_template?: string },
): TaskTokenizer {
  const chatTemplate = training.chat_template ?? null;
  const own = chatTemplate === null ? '' : `:${createHash('sha256').update(chatTemplate).digest('hex')}`;
  return { tokenizerKey: key + own, tokenizerFiles: json, chatTemplate };
}

/** How a job's files are read: by its validation, its estimate, and the reports for it alike. `lengthRead`: tokens read of an example. */
export const jobReading = ({
  model,
  method,
  peft,
  training,
  lengthRead,
}: {
  model: Pick<LocalBaseModel, 'tokenizer' | 'config'>;
  method: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  lengthRead: number;
}) => ({
  ...taskTokenizer(model.tokenizer, training),
  modelConfig: model.config,
  peft,
  method,
  ...readingOptions(training),
  maxSeqLength: lengthRead,
});
