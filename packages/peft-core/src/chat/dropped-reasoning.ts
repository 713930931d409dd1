import { GraftError } from '../errors.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import type { Conversation, Message } from './message.ts';

/** Renders conversations, as `Tokenizer` does. */
interface Renderer {
  applyChatTemplate(
    messages: readonly Message[],
    options?: Pick<Conversation, 'tools'> & { now?: Date; kwargs?: TemplateKwargs },
  ): string;
}

/** Noncharacters around the number of a message, which no template and hardly any text contains. */
const [START, END] = ['\uFDD4', '\uFDD5'];
const MARK = new RegExp(`${START}(\\d+)${END}`, 'g');
/** Ends reasoning that is a part of the content, as in data for models that write it there. */
const CLOSING = '</think>';

/**
 * Numbers of the messages whose reasoning the template leaves out: most templates show only that of the last turn. Renders the conversation
 * once, with the number of each message at the end of its reasoning. Empty if the template refuses the conversation.
 */
export function droppedReasoning(
  renderer: Renderer,
  { messages, tools }: Conversation,
  kwargs: TemplateKwargs = {},
): number[] {
  const numbers: number[] = [];
  const marked = messages.map((message, i): Message => {
    const { role, content, reasoning = '' } = message;
    const mark = `${START}${i}${END}`;
    const closing = role === 'assistant' ? (content?.indexOf(CLOSING) ?? -1) : -1;
    if (reasoning.trim() === '' && closing === -1) return message;
    numbers.push(i);
    if (reasoning.trim() !== '') return { ...message, reasoning: `${reasoning.trimEnd()}${mark}` };
    return {
      ...message,
      content: `${content!.slice(0, closing).trimEnd()}${mark}${content!.slice(closing)}`,
    };
  });
  if (numbers.length === 0) return [];
  try {
    const text = renderer.applyChatTemplate(marked, tools ? { tools, kwargs } : { kwargs });
    const shown = new Set(Array.from(text.matchAll(MARK), ([, number]) => Number(number)));
    return numbers.filter((i) => !shown.has(i));
  } catch (error) {
    if (error instanceof GraftError) return [];
    throw error;
  }
}
