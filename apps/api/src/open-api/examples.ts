import { nameOf, type OpenApiDocument, type Schema } from './document.ts';
import { exampleValues } from './example-values.ts';
import { wholeExamples } from './whole-examples.ts';

/** Placeholder for an unknown value; no example in the document contains it. */
export const unknownValue = '…';

/** Builds examples of a document's schemas from the values of their fields. */
export function createExamples({ components }: Pick<OpenApiDocument, 'components'>) {
  /** An example request: only required fields, or the whole example from the table. */
  const requestExample = (schema: Schema): unknown =>
    exampleOf(schema, '', '', (all, required) => {
      const must = all.filter((name) => required.includes(name));
      return must.length > 0 ? must : all.slice(0, 1);
    });
  /** An example response: all fields. */
  const responseExample = (schema: Schema): unknown => exampleOf(schema, '', '', (all) => all);

  type Choose = (all: string[], required: string[]) => string[];

  function exampleOf(schema: Schema, owner: string, field: string, choose: Choose): unknown {
    const name = schema.$ref && nameOf(schema.$ref);
    if (name && name in wholeExamples) return wholeExamples[name];
    if ('const' in schema) return schema.const;
    if (schema.examples) return schema.examples[0];
    const given = known(owner, field);
    if (given !== undefined) return given;
    if (name) return exampleOf(components.schemas[name]!, name, '', choose);
    if (schema.enum) return schema.enum[0];
    if (schema.default !== undefined) return schema.default;
    if (schema.anyOf) {
      // A nullable field is only shown with a known value.
      if (schema.anyOf.some(({ type }) => type === 'null') && field !== '') return null;
      return exampleOf(schema.anyOf[0]!, owner, field, choose);
    }
    switch (schema.type) {
      case 'object': {
        const { properties = {}, required = [] } = schema;
        const names = choose(Object.keys(properties), required);
        const whole = Object.fromEntries(
          names.map((name) => [name, exampleOf(properties[name]!, owner, name, choose)]),
        );
        return 'first_id' in whole ? withIds(whole as unknown as Page) : whole;
      }
      case 'array':
        return schema.items ? [exampleOf(schema.items, owner, `${field}[]`, choose)] : [];
      case 'integer':
      case 'number':
        return schema.minimum ?? 1;
      case 'boolean':
        return false;
      case 'null':
        return null;
      default:
        return unknownValue;
    }
  }

  return { requestExample, responseExample };
}

interface Page {
  data: { id: string }[];
}

/** Adds the ids of the page's first and last object. */
function withIds(page: Page): object {
  return { ...page, first_id: page.data[0]?.id, last_id: page.data.at(-1)?.id };
}

/** The value of a field of this schema, or of this field in any schema; undefined: unknown. */
function known(owner: string, field: string): unknown {
  const own = exampleValues[`${owner}.${field}`];
  return own === undefined ? exampleValues[field] : own;
}
