import { isTrainedOn } from '../../chat/message.ts';
import type { RawExample } from '../formats/formats.ts';

/** Maximum number of tools that are counted by name: the first ones of a file. */
const MAX_TOOLS = 1000;
/** Maximum number of tools that are listed, and characters of their names. */
const MAX_LISTED = 100;
const MAX_NAME = 200;

export interface ChatSummary {
  /** By role, in the order of their first message. */
  messages: { role: string; count: number }[];
  trained_messages: number;
  with_tools: number;
  /**
   * Conversations that are split, since the model's chat template writes a turn differently once others follow, such as without its
   * reasoning: each turn that is trained on is then a separate example, with the messages before it. `examples`: those that they become.
   * Null without a model.
   */
  split: { count: number; examples: number } | null;
  tool_calls: number;
  /** The tools in most examples: in how many they are declared, and their calls. */
  tools: { name: string; examples: number; calls: number }[];
}

/** Counts the messages, tools and tool calls of chats, in bounded memory. */
export class ChatCounts {
  readonly #messages = new Map<string, number>();
  readonly #tools = new Map<string, { examples: number; calls: number }>();
  #trained = 0;
  #withTools = 0;
  #calls = 0;

  add(raw: RawExample): void {
    if (!('messages' in raw)) return;
    const { messages, tools = [] } = raw;
    for (const message of messages) {
      const { role, tool_calls: calls = [] } = message;
      this.#messages.set(role, (this.#messages.get(role) ?? 0) + 1);
      if (isTrainedOn(message)) this.#trained++;
      this.#calls += calls.length;
      for (const call of calls) this.#count(call.function.name, 'calls');
    }
    if (tools.length > 0) this.#withTools++;
    for (const name of new Set(tools.map((tool) => tool.function.name))) this.#count(name, 'examples');
  }

  #count(name: string, what: 'examples' | 'calls'): void {
    const key = name.slice(0, MAX_NAME);
    const tool = this.#tools.get(key) ?? { examples: 0, calls: 0 };
    tool[what]++;
    if (this.#tools.has(key) || this.#tools.size < MAX_TOOLS) this.#tools.set(key, tool);
  }

  /** Null without chats. */
  summary(split: ChatSummary['split']): ChatSummary | null {
    if (this.#messages.size === 0) return null;
    const tools = Array.from(this.#tools, ([name, counts]) => ({ name, ...counts }));
    tools.sort((a, b) => b.examples - a.examples || b.calls - a.calls);
    return {
      messages: Array.from(this.#messages, ([role, count]) => ({ role, count })),
      trained_messages: this.#trained,
      with_tools: this.#withTools,
      split,
      tool_calls: this.#calls,
      tools: tools.slice(0, MAX_LISTED),
    };
  }
}
