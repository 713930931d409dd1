import { conversationalPrompt } from './conversational-prompt.ts';
import { openaiPreference } from './openai-preference.ts';
import { alpaca, questionAnswer, questionPreference } from './question-answer.ts';
import type { Shape } from './shape.ts';
import { sharegpt } from './sharegpt.ts';

/** All shapes of rows that are converted to a format, in the order in which a row is compared with them. */
export const shapes: readonly Shape[] = [
  sharegpt,
  conversationalPrompt,
  openaiPreference,
  questionPreference,
  alpaca,
  questionAnswer,
];
