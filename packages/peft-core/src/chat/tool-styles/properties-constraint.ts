import type { ConstraintFormat, JsonSchema } from './tool-style.ts';

export interface PropertiesForm {
  /** The text before a property's value. */
  assign(key: string): string;
  separator: string;
  /** The form of a value; default: its JSON. */
  formOf?(schema: JsonSchema): ConstraintFormat;
}

/** Maximum number of optional properties that an answer may use without any required one. */
const MAX_ALONE = 16;

/**
 * An object's properties in a form other than JSON: the required ones in order, then any of the others in order. References in a property
 * resolve against the whole schema's definitions.
 */
export function propertiesConstraint(
  schema: Readonly<Record<string, unknown>>,
  { assign, separator, formOf = (json_schema) => ({ type: 'json_schema', json_schema }) }: PropertiesForm,
): ConstraintFormat {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>);
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const definitions: Record<string, unknown> = {};
  for (const name of ['$defs', 'definitions']) if (schema[name]) definitions[name] = schema[name];
  const pairOf = ([key, value]: [string, JsonSchema], before: string): ConstraintFormat[] => [
    { type: 'const_string', value: before + assign(key) },
    formOf(typeof value === 'boolean' ? value : { ...value, ...definitions }),
  ];
  const needed = properties.filter(([key]) => required.has(key));
  const others = properties.filter(([key]) => !required.has(key));
  const nothing: ConstraintFormat = { type: 'grammar', grammar: 'root ::= ""' };
  const maybe = (elements: ConstraintFormat[]): ConstraintFormat => ({
    type: 'or',
    elements: [{ type: 'sequence', elements }, nothing],
  });
  if (needed.length === 0) {
    const alone = others.slice(0, MAX_ALONE).map(
      (first, i): ConstraintFormat => ({
        type: 'sequence',
        elements: [
          ...pairOf(first, ''),
          ...others.slice(i + 1, MAX_ALONE).map((each) => maybe(pairOf(each, separator))),
        ],
      }),
    );
    return { type: 'or', elements: [...alone, nothing] };
  }
  return {
    type: 'sequence',
    elements: [
      ...needed.flatMap((each, i) => pairOf(each, i === 0 ? '' : separator)),
      ...others.map((each) => maybe(pairOf(each, separator))),
    ],
  };
}
