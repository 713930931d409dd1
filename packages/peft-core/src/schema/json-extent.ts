const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

export interface JsonExtent {
  depth: number;
  /** Upper bound of the number of values, at most twice the actual number. */
  values: number;
}

/** Measures the size of parsed JSON without parsing it: a short text may be deeply nested, or contain a million values. */
export function jsonExtent(json: string): JsonExtent {
  let level = 0;
  let depth = 0;
  let values = 1;
  for (let i = 0; i < json.length; i++) {
    const sign = json.charCodeAt(i);
    if (sign === quote) i = endOfText(json, i);
    else if (sign === comma) values++;
    else if (sign === openBrace || sign === openBracket) {
      values++;
      level++;
      if (level > depth) depth = level;
    } else if (sign === closeBrace || sign === closeBracket) level--;
  }
  return { depth, values };
}

/** Index of the closing quote of the string that starts at `start`, or the length of the text. */
export function endOfText(json: string, start: number): number {
  for (let i = start + 1; i < json.length; i++) {
    const sign = json.charCodeAt(i);
    if (sign === backslash) i++;
    else if (sign === quote) return i;
  }
  return json.length;
}
