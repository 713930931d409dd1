import { JsonScanner } from './json-scanner.ts';
import type { PieceSink } from './tool-style.ts';

/** Maximum length of what is before the arguments, or of a call whose fields are in another order. */
const MAX_HELD = 65_536;
/** Maximum length of a text in which the usual start of a call is looked for. */
const MAX_START = 512;

/** A call with its name before its arguments, as models write it; the arguments can then be passed on as they arrive. */
const START = /^\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*\{$/;

/** What a text that a call's reader took was: the start of a call, all of one, or none. */
export type CallState = 'more' | 'done' | 'failed';

/** Reads one call, character by character. */
export interface CallBody {
  /** `failed`: it was no call, and nothing was written. */
  push(char: string): CallState;
}

/** Reads a call in the form `{"name": …, "arguments": {…}}`, or with `parameters`. */
export class JsonCall implements CallBody {
  readonly #sink: PieceSink;
  readonly #isTool: (name: string) => boolean;
  readonly #scanner = new JsonScanner();
  #held = '';
  #state: 'start' | 'arguments' | 'after' = 'start';

  /** `isTool`: whether a call of this name counts as a call. */
  constructor(sink: PieceSink, isTool: (name: string) => boolean) {
    this.#sink = sink;
    this.#isTool = isTool;
  }

  push(char: string): CallState {
    if (this.#state === 'start') return this.#start(char);
    const scanned = this.#scanner.push(char);
    if (this.#state === 'after') return scanned === 'more' ? 'more' : 'done';
    this.#sink.addArguments(char);
    // Text that is no JSON is still what the model wrote as arguments.
    if (scanned === 'invalid') return 'done';
    if (this.#scanner.depth === 1) this.#state = 'after';
    return 'more';
  }

  #start(char: string): CallState {
    const scanned = this.#scanner.push(char);
    this.#held += char;
    if (scanned === 'invalid' || this.#held.length > MAX_HELD) return 'failed';
    if (scanned === 'end') return this.#whole();
    if (char !== '{' || this.#scanner.depth !== 2 || this.#held.length > MAX_START) return 'more';
    const name = START.exec(this.#held.trimStart())?.[1];
    if (name === undefined) return 'more';
    const called = JSON.parse(name) as string;
    if (!this.#isTool(called)) return 'failed';
    this.#sink.startCall(called);
    this.#sink.addArguments('{');
    this.#state = 'arguments';
    this.#held = '';
    return 'more';
  }

  #whole(): CallState {
    const call = JSON.parse(this.#held) as Record<string, unknown>;
    const given = call.arguments ?? call.parameters ?? {};
    if (typeof call.name !== 'string' || !this.#isTool(call.name)) return 'failed';
    if (typeof given !== 'object' || given === null || Array.isArray(given)) return 'failed';
    this.#sink.startCall(call.name);
    this.#sink.addArguments(JSON.stringify(given));
    return 'done';
  }
}
