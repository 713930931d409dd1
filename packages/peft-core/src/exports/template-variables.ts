import { publicVariables } from '../adapter-files/adapter-card.ts';
import { isRecord } from '../schema/check-fields.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';

/** A chat template in which these variables have values where a caller gives none: it renders then what it rendered in training. */
export function withDefaults(template: string, variables: TemplateKwargs): string {
  const lines = Object.entries(variables).map(
    ([name, value]) => `{%- if ${name} is not defined %}{%- set ${name} = ${literal(value)} %}{%- endif %}`,
  );
  // Runtimes drop the line break after a statement, which would be the template's own.
  return lines.length === 0
    ? template
    : `${lines.join('')}${template.startsWith('\n') ? '\n' : ''}${template}`;
}

/** A JSON value as an expression of Jinja. */
function literal(value: unknown): string {
  if (value === null) return 'none';
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (isRecord(value))
    return `{ ${Object.entries(value)
      .map(([name, each]) => `${literal(name)}: ${literal(each)}`)
      .join(', ')} }`;
  return typeof value === 'string' ? text(value) : String(value);
}

const escapes: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const text = (value: string) =>
  `"${value.replaceAll(/[\\"]/g, '\\$&').replaceAll(/[\n\r\t]/g, (char) => escapes[char]!)}"`;

/**
 * Notes for users of exported files about the variables that an adapter was trained with; empty if there are none. Texts among their
 * values may be private, and the note may be published: only their names are in it. `written`: the files have a template with them.
 */
export function variableNotes(variables: TemplateKwargs, written: boolean): string[] {
  const names = Object.keys(variables);
  if (names.length === 0) return [];
  const shown = publicVariables(variables);
  const all = names
    .map((name) => (name in shown ? `${name} = ${JSON.stringify(shown[name])}` : name))
    .join(', ');
  return [
    written
      ? `The chat template has the variables of the training as defaults, which a request may override: ${all}.`
      : `The adapter was trained with variables of the chat template, which these files do not hold: send ${all} with each request (chat_template_kwargs).`,
  ];
}
