// `{"name": …, "parameters": {…}}` as the whole answer, also after `<|python_tag|>`; several are separated by `;`.
import { JsonCall } from './json-call.ts';
import { callTags, type PieceSink, type TextReader, type ToolStyle } from './tool-style.ts';

const TAG = '<|python_tag|>';

/** Reads calls at the start of an answer. A JSON text that calls none of the tools is content. */
class BareCalls implements TextReader {
  readonly #sink: PieceSink;
  readonly #names: ReadonlySet<string>;
  #state: 'before' | 'call' | 'content' = 'before';
  /** What is content if no call follows. */
  #raw = '';
  #call: JsonCall | null = null;

  constructor(names: ReadonlySet<string>, sink: PieceSink) {
    this.#names = names;
    this.#sink = {
      content: (text) => sink.content(text),
      reasoning: (text) => sink.reasoning(text),
      startCall: (name) => {
        this.#raw = '';
        sink.startCall(name);
      },
      addArguments: (text) => sink.addArguments(text),
    };
  }

  push(text: string): void {
    for (let at = 0; at < text.length; at++) {
      if (this.#state === 'content') {
        this.#sink.content(text.slice(at));
        return;
      }
      this.#read(text[at]!);
    }
  }

  end(): void {
    this.#sink.content(this.#raw);
    this.#raw = '';
  }

  #read(char: string): void {
    const isHeld = this.#state === 'before' || this.#raw !== '';
    if (isHeld) this.#raw += char;
    if (this.#state === 'before') {
      const start = this.#raw.replace(/^[\s;]+/, '');
      const rest = start.startsWith(TAG) ? start.slice(TAG.length).trimStart() : start;
      if (rest === '' || (rest === start && TAG.startsWith(start))) return;
      if (rest !== '{') {
        this.#toContent();
        return;
      }
      this.#state = 'call';
      this.#call = new JsonCall(this.#sink, (name) => this.#names.has(name));
    }
    const state = this.#call!.push(char);
    if (state === 'failed') this.#toContent();
    if (state !== 'done') return;
    this.#call = null;
    this.#state = 'before';
  }

  #toContent(): void {
    this.#state = 'content';
    this.#call = null;
    this.#sink.content(this.#raw);
    this.#raw = '';
  }
}

export const bareJson: ToolStyle = {
  name: 'bare-json',
  isUsedBy: (template) => template.includes('{"name": ') && template.includes('"parameters": '),
  marks: [TAG],
  reader: (tools, out) => new BareCalls(new Set(tools.map((tool) => tool.function.name)), out),
  constraint: (options) => ({
    type: 'calls',
    tags: callTags(options, (name) => ({
      begin: `{"name": ${JSON.stringify(name)}, "parameters": `,
      end: '}',
    })),
    separator: '; ',
    several: options.parallel,
  }),
};
