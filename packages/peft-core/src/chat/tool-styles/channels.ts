// Messages with a header, as in OpenAI's harmony format: `<|channel|>NAME<|message|>TEXT<|end|>`. The channel `analysis` has reasoning, a
// recipient `to=functions.NAME` makes the text a call's arguments, and everything else is content.
import { argumentsText } from './json-call.ts';
import { splitAtMark } from './marked-text.ts';
import { callTags, NAME_SIGNS, type PieceSink, type TextReader, type ToolStyle } from './tool-style.ts';

const START = '<|start|>';
const CHANNEL = '<|channel|>';
const MESSAGE = '<|message|>';
const ENDS = ['<|end|>', '<|call|>', '<|return|>'];
/** Maximum length of a header; a longer one is content. */
const MAX_HEADER = 512;

const RECIPIENT = new RegExp(`to=functions\\.(${NAME_SIGNS}+)`);

class ChannelReader implements TextReader {
  readonly #sink: PieceSink;
  #rest = '';
  /** Null in a header. */
  #body: 'content' | 'reasoning' | 'arguments' | null = null;
  /** The header of the current call, and its arguments so far. */
  #header = '';
  #arguments = '';

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  push(text: string): void {
    this.#rest += text;
    while (this.#rest !== '') if (!(this.#body === null ? this.#readHeader() : this.#readBody())) return;
  }

  end(): void {
    const isText = !this.#rest.includes(CHANNEL) && !RECIPIENT.test(this.#rest);
    if (this.#body !== null) {
      this.#write(this.#rest);
      this.#endBody();
    } else if (isText && !this.#rest.trimStart().startsWith(START)) this.#sink.content(this.#rest);
    this.#rest = '';
  }

  /** Reads a header; returns true if it is complete. */
  #readHeader(): boolean {
    const { before, mark, after } = splitAtMark(this.#rest, [MESSAGE]);
    if (mark === null && this.#rest.length <= MAX_HEADER) return false;
    const name = RECIPIENT.exec(before)?.[1];
    const channel = new RegExp(`${CHANNEL.replaceAll('|', '\\|')}(\\w+)`).exec(before)?.[1];
    this.#body =
      mark === null ? 'content' : name ? 'arguments' : channel === 'analysis' ? 'reasoning' : 'content';
    if (mark !== null) this.#rest = after;
    if (this.#body !== 'arguments') return true;
    this.#header = before + mark;
    this.#arguments = '';
    this.#sink.startCall(name!);
    return true;
  }

  /** Reads a message's content; returns true if the message ended. */
  #readBody(): boolean {
    // The next message ends a call whose mark is missing.
    const ends = this.#body === 'arguments' ? [START, ...ENDS] : ENDS;
    const { before, mark, after } = splitAtMark(this.#rest, ends);
    this.#write(before);
    this.#rest = mark === START ? START + after : after;
    if (mark === null) return false;
    this.#endBody();
    return true;
  }

  /** Arguments that are not the JSON text of an object are content, with their header. */
  #endBody(): void {
    const isCall = this.#body === 'arguments';
    this.#body = null;
    if (!isCall) return;
    if (this.#arguments.trim() === '') this.#sink.addArguments('{}');
    if (!this.#sink.holds || argumentsText(this.#arguments) !== null) this.#sink.endCall();
    else if (this.#sink.dropCall()) this.#sink.content(this.#header + this.#arguments);
  }

  #write(text: string): void {
    if (text === '') return;
    if (this.#body === 'reasoning') this.#sink.reasoning(text);
    else if (this.#body === 'arguments') {
      this.#arguments += text;
      this.#sink.addArguments(text);
    } else this.#sink.content(text);
  }
}

export const channels: ToolStyle = {
  name: 'channels',
  isUsedBy: (template) => template.includes(CHANNEL) && template.includes(MESSAGE),
  marks: [START, CHANNEL, MESSAGE, '<|constrain|>', ...ENDS],
  ends: ['<|return|>', '<|call|>'],
  continues: ['<|end|>'],
  always: true,
  reader: (_tools, out) => new ChannelReader(out),
  // A message has at most one call, after which the answer ends.
  constraint: (options) => ({
    type: 'calls',
    tags: callTags(options, (name) => ({
      begin: ` to=functions.${name}${CHANNEL}commentary json${MESSAGE}`,
      end: '',
    })),
    separator: '',
    several: false,
  }),
  contentTag: { begin: `${CHANNEL}final${MESSAGE}`, end: '' },
  reasoning: { open: `${CHANNEL}analysis${MESSAGE}`, close: '<|end|>', next: `${START}assistant` },
};
