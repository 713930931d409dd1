const MAX_DEPTH = 64;
/** Maximum length of a number, which JSON does not limit. */
const MAX_NUMBER = 512;

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const WORDS = ['true', 'false', 'null'];

type Expected = 'value' | 'value or end' | 'key' | 'key or end' | 'colon' | 'comma or end';

/** Checks the JSON text of an object or a list character by character (RFC 8259). */
export class JsonScanner {
  /** Open objects and lists, as `{` and `[`. */
  #open = '';
  #expected: Expected = 'value';
  /** A string: whether it is a key; and the state of its escape: 0, or 1 after a backslash, 2 to 5 for digits that must follow. */
  #string: { isKey: boolean; escape: number } | null = null;
  /** The number or word so far. */
  #word = '';

  get depth(): number {
    return this.#open.length;
  }

  /** Takes a character: whether the text ends with it, or is not JSON with it. */
  push(char: string): 'more' | 'end' | 'invalid' {
    if (this.#string) return this.#inString(char, this.#string);
    if (this.#word !== '') {
      if (/[-+.\w]/.test(char)) {
        this.#word += char;
        return this.#word.length > MAX_NUMBER ? 'invalid' : 'more';
      }
      if (!WORDS.includes(this.#word) && !NUMBER.test(this.#word)) return 'invalid';
      this.#word = '';
      this.#expected = 'comma or end';
    }
    if (/[ \t\r\n]/.test(char)) return 'more';
    return this.#between(char);
  }

  #inString(char: string, string: { isKey: boolean; escape: number }): 'more' | 'invalid' {
    if (string.escape > 1) {
      if (!/[\da-fA-F]/.test(char)) return 'invalid';
      string.escape = string.escape === 5 ? 0 : string.escape + 1;
    } else if (string.escape === 1) {
      if (!/["\\/bfnrtu]/.test(char)) return 'invalid';
      string.escape = char === 'u' ? 2 : 0;
    } else if (char === '\\') string.escape = 1;
    else if (char === '"') {
      this.#expected = string.isKey ? 'colon' : 'comma or end';
      this.#string = null;
    } else if (char < ' ') return 'invalid';
    return 'more';
  }

  #between(char: string): 'more' | 'end' | 'invalid' {
    const expected = this.#expected;
    const isValue = expected === 'value' || expected === 'value or end';
    if (char === '"' && (isValue || expected === 'key' || expected === 'key or end')) {
      this.#string = { isKey: !isValue, escape: 0 };
      return 'more';
    }
    if ((char === '{' || char === '[') && isValue) {
      if (this.#open.length === MAX_DEPTH) return 'invalid';
      this.#open += char;
      this.#expected = char === '{' ? 'key or end' : 'value or end';
      return 'more';
    }
    if (char === ':' && expected === 'colon') {
      this.#expected = 'value';
      return 'more';
    }
    if (char === ',' && expected === 'comma or end') {
      this.#expected = this.#open.endsWith('{') ? 'key' : 'value';
      return 'more';
    }
    const opening = char === '}' ? '{' : char === ']' ? '[' : null;
    if (opening !== null && this.#open.endsWith(opening) && expected.endsWith('end')) {
      this.#open = this.#open.slice(0, -1);
      this.#expected = 'comma or end';
      return this.#open === '' ? 'end' : 'more';
    }
    if (!isValue || this.#open === '' || !/[-\dtfn]/.test(char)) return 'invalid';
    this.#word = char;
    return 'more';
  }
}
