import { isRecord } from '../../schema/check-fields.ts';
import { exactText, parseJson } from '../../schema/exact-json.ts';
import { JsonScanner } from './json-scanner.ts';
import type { CallBody, CallState } from './marked-calls.ts';
import type { PieceSink } from './tool-style.ts';

/** Maximum length of a text in which the usual start of a call is looked for. */
const MAX_START = 512;

/** A call with its name before its arguments, as models write it; the arguments can then be passed on as they arrive. */
const START = /^\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*\{$/;

/**
 * Reads calls in the form `{"name": …, "arguments": {…}}`, or with `parameters`, one after another or in a list. The arguments may be
 * JSON text.
 */
export class JsonCalls implements CallBody {
  readonly #sink: PieceSink;
  readonly #isTool: (name: string) => boolean;
  #scanner: JsonScanner | null = null;
  #held = '';
  #state: 'start' | 'arguments' | 'after' = 'start';
  #isList = false;
  #found = false;

  /** `isTool`: whether a call of this name counts as a call. */
  constructor(sink: PieceSink, isTool: (name: string) => boolean = () => true) {
    this.#sink = sink;
    this.#isTool = isTool;
  }

  push(char: string): CallState {
    if (!this.#scanner && char !== '{') return this.#between(char);
    this.#scanner ??= new JsonScanner();
    const state = this.#inCall(char, this.#scanner);
    if (state !== 'call') return state;
    this.#found = true;
    this.#scanner = null;
    this.#held = '';
    this.#state = 'start';
    return 'call';
  }

  #between(char: string): CallState {
    if (char === '[' && !this.#isList && !this.#found) this.#isList = true;
    else if (char === ']' && this.#found) return 'done';
    else if (!(this.#found ? /[\s,;]/ : /\s/).test(char)) return 'failed';
    return 'more';
  }

  #inCall(char: string, scanner: JsonScanner): CallState {
    const scanned = scanner.push(char);
    if (scanned === 'invalid') return 'failed';
    if (this.#state === 'arguments') {
      this.#sink.addArguments(char);
      if (scanner.depth === 1) this.#state = 'after';
      return 'more';
    }
    if (this.#state === 'after') return scanned === 'end' ? 'call' : 'more';
    this.#held += char;
    if (scanned === 'end') return this.#whole();
    if (this.#sink.holds || char !== '{' || scanner.depth !== 2 || this.#held.length > MAX_START)
      return 'more';
    const name = START.exec(this.#held)?.[1];
    if (name === undefined) return 'more';
    const called = JSON.parse(name) as string;
    if (!this.#isTool(called)) return 'failed';
    this.#sink.startCall(called);
    this.#sink.addArguments('{');
    this.#state = 'arguments';
    return 'more';
  }

  #whole(): CallState {
    const { name, arguments: args, parameters, ...others } = parseJson(this.#held) as Record<string, unknown>;
    const value = args ?? parameters;
    // A misspelt field is not a call without arguments.
    const isBare = Object.keys(others).every((key) => key === 'id' || key === 'type');
    const given = value === undefined || value === null ? (isBare ? '{}' : null) : argumentsText(value);
    if (typeof name !== 'string' || !this.#isTool(name) || given === null) return 'failed';
    this.#sink.startCall(name);
    this.#sink.addArguments(given);
    return 'call';
  }
}

/** The JSON text of arguments, an object or its text; null for others. */
export function argumentsText(given: unknown): string | null {
  if (isRecord(given)) return exactText(given) ?? JSON.stringify(given);
  if (typeof given !== 'string') return null;
  if (given.trim() === '') return '{}';
  try {
    return isRecord(JSON.parse(given)) ? given : null;
  } catch {
    return null;
  }
}
