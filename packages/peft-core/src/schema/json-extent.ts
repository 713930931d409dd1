const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

export interface JsonExtent {
  /** Deepest nesting of objects and arrays. */
  depth: number;
  /** At least as many values as there are, and at most twice as many. */
  values: number;
}

/** How large JSON becomes when it is parsed, found without parsing: a short text may be deep, or a million values. */
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

/** Where the text that begins at `start` ends: its closing quote, or the end of it all. */
function endOfText(json: string, start: number): number {
  for (let i = start + 1; i < json.length; i++) {
    const sign = json.charCodeAt(i);
    if (sign === backslash) i++;
    else if (sign === quote) return i;
  }
  return json.length;
}
