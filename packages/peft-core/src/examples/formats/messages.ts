/** Parts of messages that every format with lists of them reads. */
import { isTrainedOn, lengthOfMessage, type Message } from '../../chat/message.ts';

/** Number of characters that a language model is trained to generate. */
export const answerLengthOf = (messages: readonly Message[]): number =>
  messages.reduce((sum, message) => sum + (isTrainedOn(message) ? lengthOfMessage(message) : 0), 0);

/** Texts whose special tokens are treated as plain text. */
export const textsOf = (messages: readonly Message[]): string[] =>
  messages.flatMap(({ content, reasoning }) => [content ?? [], reasoning ?? []].flat());

/** The system message that they begin with; null without one. */
export const leadingSystemPrompt = ([first]: readonly Message[]): string | null =>
  first?.role === 'system' || first?.role === 'developer' ? first.content : null;
