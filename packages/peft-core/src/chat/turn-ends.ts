import { GraftError } from '../errors.ts';
import type { Message, Tool } from './message.ts';
import { commonPrefix } from './rendered-turns.ts';
import type { EncodedTurns, TurnTokenizer } from './turn-tokens.ts';

/** Texts that no template contains. */
const ANSWER = 'Graft';
const VALUE = 'Quince';

const TOOL: Tool = {
  type: 'function',
  function: {
    name: 'find_plant',
    description: 'Finds a plant',
    parameters: { type: 'object', properties: { name: { type: 'string', description: 'Its name' } } },
  },
};

const USER: Message = { role: 'user', content: 'Hello' };
/** Some templates take ids of nine characters only. */
const ID = 'call12345';

/** Turns to probe a template with, what may follow each, and the last text of the turn that is not the template's. */
const PROBES: { turn: (content: string | null) => Message; next: Message; last: string; tools?: Tool[] }[] = [
  { turn: () => ({ role: 'assistant', content: ANSWER }), next: USER, last: ANSWER },
  {
    turn: (content) => ({
      role: 'assistant',
      content,
      tool_calls: [
        { id: ID, type: 'function', function: { name: TOOL.function.name, arguments: { name: VALUE } } },
      ],
    }),
    next: { role: 'tool', content: 'Found', name: TOOL.function.name, tool_call_id: ID },
    last: VALUE,
    tools: [TOOL],
  },
];

const known = new WeakMap<TurnTokenizer, number[]>();

/**
 * Ids of the tokens that end an assistant turn in the model's chat template, such as `<|im_end|>`, also one that calls a tool: training on
 * conversations teaches a model to end with them, so they end an answer to a conversation. Empty for a model without a template, for a
 * template that writes no special token there, and for one that rejects a plain conversation.
 */
export function turnEnds(tokenizer: TurnTokenizer): number[] {
  let ends = known.get(tokenizer);
  if (!ends) {
    ends = [...new Set(PROBES.flatMap((probe) => endOf(tokenizer, probe) ?? []))];
    known.set(tokenizer, ends);
  }
  return ends;
}

/**
 * The token that ends a turn which is the last of its conversation, as it is when the model answers. The template may write more at the end of a
 * conversation; the end of the turn is what it writes within one, too, if that has a special token.
 */
function endOf(
  tokenizer: TurnTokenizer,
  { turn, next, last, tools }: (typeof PROBES)[number],
): number | null {
  const encode = (content: string | null, ...more: Message[]) =>
    orNull(() => tokenizer.encodeTurns([USER, turn(content), ...more], [], { tools: tools ?? [] }));
  const content = encode(null)?.text.includes(last) ? null : '';
  const alone = encode(content);
  const at = alone?.text.lastIndexOf(last) ?? -1;
  if (!alone || at === -1) return null;
  const start = at + last.length;
  const tail = alone.text.slice(start);
  const within = encode(content, next)?.text ?? '';
  const place = within.lastIndexOf(last);
  const common = place === -1 ? 0 : commonPrefix(tail, within.slice(place + last.length));
  return (
    lastSpecial(tokenizer, alone, start, start + common) ??
    lastSpecial(tokenizer, alone, start, start + tail.length)
  );
}

/** The last special token in a range of the text. */
function lastSpecial(
  tokenizer: TurnTokenizer,
  { whole }: EncodedTurns,
  from: number,
  to: number,
): number | null {
  const [first, end] = [whole.beginning(from).tokens, whole.beginning(to).tokens];
  return whole.ids.slice(first, end).findLast((id) => tokenizer.isSpecial(id)) ?? null;
}

function orNull<T>(of: () => T): T | null {
  try {
    return of();
  } catch (error) {
    if (error instanceof GraftError) return null;
    throw error;
  }
}
