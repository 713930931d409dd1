// `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`, or, in later templates, `[TOOL_CALLS]NAME[ARGS]{…}` for each call.
import { JsonCalls } from './json-call.ts';
import { JsonScanner } from './json-scanner.ts';
import { type CallBody, type CallState, MarkedCalls } from './marked-calls.ts';
import { callTags, NAME_SIGNS, type PieceSink, type ToolStyle } from './tool-style.ts';

const OPEN = '[TOOL_CALLS]';
const ARGUMENTS = '[ARGS]';
const NAMED = new RegExp(`^(${NAME_SIGNS}{1,128})(?:\\[CALL_ID\\]\\w{1,64})?(?:\\[ARGS\\])?\\s*\\{$`);
const NAME_START = new RegExp(`^${NAME_SIGNS}`);
/** Maximum length of a name with its marks. */
const MAX_NAME = 256;

class NamedCall implements CallBody {
  readonly #sink: PieceSink;
  #held = '';
  #arguments: JsonScanner | null = null;

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  push(char: string): CallState {
    if (this.#arguments) {
      this.#sink.addArguments(char);
      const scanned = this.#arguments.push(char);
      return scanned === 'invalid' ? 'failed' : scanned === 'end' ? 'done' : 'more';
    }
    this.#held += char;
    const start = this.#held.trimStart();
    if (char !== '{')
      return this.#held.length <= MAX_NAME && (start === '' || NAME_START.test(start)) ? 'more' : 'failed';
    const name = NAMED.exec(start)?.[1];
    if (name === undefined) return 'failed';
    this.#sink.startCall(name);
    this.#sink.addArguments('{');
    this.#arguments = new JsonScanner();
    this.#arguments.push('{');
    return 'more';
  }
}

class ListedCalls implements CallBody {
  readonly #sink: PieceSink;
  #body: CallBody | null = null;

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  push(char: string): CallState {
    if (!this.#body && /\s/.test(char)) return 'more';
    this.#body ??= /[[{]/.test(char) ? new JsonCalls(this.#sink) : new NamedCall(this.#sink);
    return this.#body.push(char);
  }
}

export const listedJson: ToolStyle = {
  name: 'listed-json',
  isUsedBy: (template) => template.includes(OPEN),
  marks: [OPEN, ARGUMENTS, '[CALL_ID]'],
  idLength: 9,
  reader: (_tools, out) =>
    new MarkedCalls(
      { opens: [OPEN], close: null, restart: '{"name"', body: (sink) => new ListedCalls(sink) },
      out,
    ),
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
