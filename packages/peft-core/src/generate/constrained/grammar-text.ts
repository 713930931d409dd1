import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';

/** Grammars of parts, which the library writes. */
export interface GrammarSource {
  schema(schema: string): Promise<string>;
  regex(pattern: string): Promise<string>;
}

/** The rule of a string in a schema's grammar, with quotes around its text. */
const QUOTED = /^(\w+ ::= )\(\("\\"" (.*) "\\""\)\)$/m;

/**
 * A constraint as a grammar in XGrammar's EBNF. XGrammar's own structural tags are not used: they cannot repeat a tag within another form,
 * nor without a separator.
 */
export async function grammarText(format: ConstraintFormat, source: GrammarSource): Promise<string> {
  const rules: string[] = [];
  let included = 0;

  /** Adds another grammar's rules, with new names; returns the name of its root. */
  function include(grammar: string): string {
    const prefix = `g${included++}_`;
    rules.push(withPrefix(grammar, prefix));
    return `${prefix}root`;
  }

  /** `scope`: before the names of the form's rules. */
  async function expression(part: ConstraintFormat, scope: string): Promise<string> {
    switch (part.type) {
      case 'const_string':
        return literal(part.value);
      case 'json_schema':
        return include(await source.schema(JSON.stringify(part.json_schema)));
      case 'unquoted': {
        const grammar = await source.schema(JSON.stringify(part.json_schema));
        if (!QUOTED.test(grammar)) throw new Error('the schema is not one of a string with a form');
        return include(grammar.replace(QUOTED, '$1(($2))'));
      }
      case 'regex':
        return include(await source.regex(part.pattern));
      case 'grammar':
        return include(part.grammar);
      case 'sequence':
        return `(${(await all(part.elements, scope)).join(' ')})`;
      case 'or':
        return `(${(await all(part.elements, scope)).join(' | ')})`;
      case 'tag':
        return `(${literal(part.begin)} ${await expression(part.content, scope)} ${literal(part.end)})`;
      case 'repeat': {
        const { separator, min, max } = part;
        const element = added('item', await expression(part.element, scope));
        const most = max === null ? '' : max - 1;
        const several = `(${element} (${literal(separator)} ${element}){${Math.max(0, min - 1)},${most}})`;
        if (max === 0) return '""';
        return min === 0 ? `(${several} | "")` : several;
      }
      case 'rules': {
        const inner = `r${included++}_`;
        for (const [name, each] of Object.entries(part.rules))
          rules.push(`${inner}${name} ::= ${await expression(each, inner)}`);
        return await expression(part.root, inner);
      }
      case 'rule':
        return scope + part.name;
      case 'calls': {
        const call = added('call', (await all(part.tags, scope)).join(' | '));
        return part.several ? `(${call} (${literal(part.separator)} ${call})*)` : call;
      }
    }
  }

  /** Adds a rule; returns its name. */
  function added(name: string, text: string): string {
    const rule = `${name}${included++}`;
    rules.push(`${rule} ::= ${text}`);
    return rule;
  }

  /** One after another, as names are numbered. */
  async function all(parts: readonly ConstraintFormat[], scope: string): Promise<string[]> {
    const texts: string[] = [];
    for (const part of parts) texts.push(await expression(part, scope));
    return texts;
  }

  const root = await expression(format, '');
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
