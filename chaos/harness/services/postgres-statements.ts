/**
 * Reads the client's side of a Postgres connection (protocol 3.0, without TLS) and reports each statement as it passes:
 * the text of Query and Parse messages, and for a Bind of a named statement the text that was parsed under that name.
 */
export class PostgresStatements {
  #pending: Buffer = Buffer.alloc(0);
  #started = false;
  readonly #named = new Map<string, string>();

  /** The statements whose message ends in this chunk. */
  read(chunk: Buffer): string[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const found: string[] = [];
    for (;;) {
      // The first message has no type byte.
      const head = this.#started ? 1 : 0;
      if (this.#pending.length < head + 4) return found;
      const end = head + this.#pending.readUInt32BE(head);
      if (this.#pending.length < end) return found;
      if (this.#started) {
        const text = this.#statement(String.fromCharCode(this.#pending[0]!), this.#pending.subarray(5, end));
        if (text !== null) found.push(text);
      }
      this.#started = true;
      this.#pending = this.#pending.subarray(end);
    }
  }

  #statement(type: string, body: Buffer): string | null {
    if (type === 'Q') return textAt(body, 0);
    if (type === 'P') {
      const name = textAt(body, 0);
      const sql = textAt(body, name.length + 1);
      if (name === '') return sql;
      // Reported each time it is bound.
      this.#named.set(name, sql);
      return null;
    }
    if (type === 'B') {
      const name = textAt(body, body.indexOf(0) + 1);
      return name === '' ? null : (this.#named.get(name) ?? null);
    }
    return null;
  }
}

function textAt(body: Buffer, start: number): string {
  const end = body.indexOf(0, start);
  return body.toString('utf8', start, end < 0 ? body.length : end);
}

/** One line without comments and values, so that equal statements have equal text. */
export function normalised(sql: string): string {
  return sql
    .replaceAll(/\/\*.*?\*\/|--[^\n]*/g, ' ')
    .replaceAll(/'(?:[^']|'')*'/g, '?')
    .replaceAll(/\$\d+(?:\s*,\s*\$\d+)+/g, '$…')
    .replaceAll(/\(\s*\$…\s*\)(?:\s*,\s*\(\s*\$…\s*\))+/g, '($…)')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
