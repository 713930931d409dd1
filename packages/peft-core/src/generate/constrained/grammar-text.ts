import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';

/**
 * A constraint as a grammar in XGrammar's EBNF. `grammarOf` returns the grammar of a JSON schema. XGrammar's own structural tags are not
 * used: they cannot repeat a tag within another form, nor without a separator.
 */
export async function grammarText(
  format: ConstraintFormat,
  grammarOf: (schema: string) => Promise<string>,
): Promise<string> {
  const rules: string[] = [];
  let included = 0;

  /** Adds another grammar's rules, with new names; returns the name of its root. */
  function include(grammar: string): string {
    const prefix = `g${included++}_`;
    rules.push(withPrefix(grammar, prefix));
    return `${prefix}root`;
  }

  async function expression(part: ConstraintFormat): Promise<string> {
    switch (part.type) {
      case 'const_string':
        return literal(part.value);
      case 'json_schema':
        return include(await grammarOf(JSON.stringify(part.json_schema)));
      case 'grammar':
        return include(part.grammar);
      case 'sequence':
        return `(${(await all(part.elements)).join(' ')})`;
      case 'or':
        return `(${(await all(part.elements)).join(' | ')})`;
      case 'tag':
        return `(${literal(part.begin)} ${await expression(part.content)} ${literal(part.end)})`;
      case 'calls': {
        const call = `call${included++}`;
        rules.push(`${call} ::= ${(await all(part.tags)).join(' | ')}`);
        return part.several ? `(${call} (${literal(part.separator)} ${call})*)` : call;
      }
    }
  }

  /** One after another, as names are numbered. */
  async function all(parts: readonly ConstraintFormat[]): Promise<string[]> {
    const texts: string[] = [];
    for (const part of parts) texts.push(await expression(part));
    return texts;
  }

  const root = await expression(format);
  return [...rules, `root ::= ${root}`].join('\n');
}

function literal(text: string): string {
  const escaped = text.replace(/["\\\n\r\t]/g, (char) => ESCAPES[char]!);
  return `"${escaped}"`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** Strings, character classes, and names. */
const TOKENS = /"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|[A-Za-z_][\w-]*/gs;

function withPrefix(grammar: string, prefix: string): string {
  return grammar.replace(TOKENS, (token) => (/^["[]/.test(token) ? token : prefix + token));
}
