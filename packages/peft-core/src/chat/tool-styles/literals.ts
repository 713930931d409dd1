const MAX_DEPTH = 64;

/** Form of the values of a tool-call style. */
export interface LiteralForm {
  /** The string that starts at `at`: its value, and where it ends; null if none starts there. */
  string(text: string, at: number): { value: string; end: number } | null;
  /** Words that are values, and their JSON. */
  words: Readonly<Record<string, 'true' | 'false' | 'null'>>;
  /** Sticky pattern of an object's keys that are no strings; null if all are. */
  bareKey: RegExp | null;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /\s*/y;

/** Reads values from a text from left to right, as JSON texts. Methods throw `NotLiteral` if the text has another form. */
export class LiteralReader {
  readonly #text: string;
  readonly #form: LiteralForm;
  at = 0;

  constructor(text: string, form: LiteralForm) {
    this.#text = text;
    this.#form = form;
  }

  get isAtEnd(): boolean {
    this.#match(SPACE);
    return this.at === this.#text.length;
  }

  /** Skips `text` if it is next, after spaces; returns true if it was. */
  skip(text: string): boolean {
    this.#match(SPACE);
    if (!this.#text.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  expect(text: string): void {
    if (!this.skip(text)) throw new NotLiteral();
  }

  /** `pattern` must be sticky. */
  name(pattern: RegExp): string {
    this.#match(SPACE);
    return this.#match(pattern) ?? fail();
  }

  value(depth = 0): string {
    if (depth > MAX_DEPTH) return fail();
    this.#match(SPACE);
    const string = this.#string();
    if (string !== null) return JSON.stringify(string);
    if (this.skip('[')) return this.#list(']', depth);
    if (this.skip('(')) return this.#list(')', depth);
    if (this.#text[this.at] === '{') return this.object(depth);
    for (const [word, value] of Object.entries(this.#form.words))
      if (this.#text.startsWith(word, this.at) && !/\w/.test(this.#text[this.at + word.length] ?? '')) {
        this.at += word.length;
        return value;
      }
    return this.#match(NUMBER) ?? fail();
  }

  /** The object of the fields up to `close`. */
  fields(close: string, depth: number, keyOf: () => string, separator: string): string {
    const fields = this.#items(close, () => {
      const key = keyOf();
      this.expect(separator);
      return `${JSON.stringify(key)}:${this.value(depth + 1)}`;
    });
    return `{${fields}}`;
  }

  #list(close: string, depth: number): string {
    return `[${this.#items(close, () => this.value(depth + 1))}]`;
  }

  /** The items up to `close`, separated by commas. */
  #items(close: string, itemOf: () => string): string {
    const items: string[] = [];
    while (!this.skip(close)) {
      if (items.length > 0) this.expect(',');
      if (items.length > 0 && this.skip(close)) break;
      items.push(itemOf());
    }
    return items.join(',');
  }

  object(depth = 0): string {
    this.expect('{');
    const { bareKey } = this.#form;
    const key = () => {
      this.#match(SPACE);
      return this.#string() ?? (bareKey ? this.name(bareKey) : fail());
    };
    return this.fields('}', depth, key, ':');
  }

  #string(): string | null {
    const found = this.#form.string(this.#text, this.at);
    if (found === null) return null;
    this.at = found.end;
    return found.value;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    if (found !== null) this.at += found.length;
    return found;
  }
}

/** The text is no value of this form. */
export class NotLiteral extends Error {}

function fail(): never {
  throw new NotLiteral('not a value');
}
