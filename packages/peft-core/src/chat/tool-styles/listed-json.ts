// `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`, or, in later templates, `[TOOL_CALLS]NAME[ARGS]{…}` for each call.
import type { CallBody, CallState } from './json-call.ts';
import { JsonCall } from './json-call.ts';
import { JsonScanner } from './json-scanner.ts';
import { MarkedCalls } from './marked-calls.ts';
import { callTags, type PieceSink, type ToolStyle } from './tool-style.ts';

const OPEN = '[TOOL_CALLS]';
const ARGUMENTS = '[ARGS]';
const NAMED = /^\s*([\w.-]{1,128})(?:\[CALL_ID\]\w{1,64})?(?:\[ARGS\])?\s*\{$/;
/** Maximum length of a name with its marks. */
const MAX_NAME = 256;

/** Reads the list of calls, or one named call. */
class ListedCalls implements CallBody {
  readonly #sink: PieceSink;
  #held = '';
  #list: 'before' | 'within' | null = null;
  #call: JsonCall | null = null;
  #arguments: JsonScanner | null = null;
  #found = 0;

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  push(char: string): CallState {
    if (this.#arguments) {
      this.#sink.addArguments(char);
      return this.#arguments.push(char) === 'more' ? 'more' : 'done';
    }
    return this.#list === null ? this.#first(char) : this.#inList(char);
  }

  #first(char: string): CallState {
    this.#held += char;
    if (this.#held.trimStart() === '[') {
      this.#list = 'before';
      return 'more';
    }
    if (this.#held.length > MAX_NAME) return 'failed';
    const start = this.#held.trimStart();
    if (char !== '{') return start === '' || /^[\w.-]/.test(start) ? 'more' : 'failed';
    const name = NAMED.exec(start)?.[1];
    if (name === undefined) return 'failed';
    this.#sink.startCall(name);
    this.#sink.addArguments('{');
    this.#arguments = new JsonScanner();
    this.#arguments.push('{');
    return 'more';
  }

  #inList(char: string): CallState {
    if (!this.#call) {
      if (char === ']') return this.#found > 0 ? 'done' : 'failed';
      if (char === '{') this.#call = new JsonCall(this.#sink, () => true);
      else return /[\s,]/.test(char) ? 'more' : this.#over();
    }
    const state = this.#call!.push(char);
    if (state === 'failed') return this.#over();
    if (state === 'done') {
      this.#call = null;
      this.#found += 1;
    }
    return 'more';
  }

  /** After the first call nothing can be content any more. */
  #over(): CallState {
    return this.#found > 0 ? 'done' : 'failed';
  }
}

export const listedJson: ToolStyle = {
  name: 'listed-json',
  isUsedBy: (template) => template.includes(OPEN),
  marks: [OPEN, ARGUMENTS, '[CALL_ID]'],
  idLength: 9,
  reader: (_tools, out) =>
    new MarkedCalls({ open: OPEN, close: null, body: (sink) => new ListedCalls(sink) }, out),
  constraint(options, template) {
    const isNamed = template.includes(ARGUMENTS);
    const several = options.parallel;
    if (isNamed) {
      const tags = callTags(options, (name) => ({ begin: `${OPEN}${name}${ARGUMENTS}`, end: '' }));
      return { type: 'calls', tags, separator: '', several };
    }
    const tags = callTags(options, (name) => ({
      begin: `{"name": ${JSON.stringify(name)}, "arguments": `,
      end: '}',
    }));
    return {
      type: 'sequence',
      elements: [
        { type: 'const_string', value: `${OPEN}[` },
        { type: 'calls', tags, separator: ', ', several },
        { type: 'const_string', value: ']' },
      ],
    };
  },
};
