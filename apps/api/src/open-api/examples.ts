import { nameOf, type OpenApiDocument, type Schema } from './document.ts';
import { exampleValues, wholeExamples } from './example-values.ts';

/** Stands where no value is known; no example of the document has it. */
export const unknownValue = '…';

/** Examples of a document's schemas, put together from the values of their fields. */
export function createExamples({ components }: Pick<OpenApiDocument, 'components'>) {
  /** Of what a client sends: only what it must send, or what a table says of the whole. */
  const ofRequest = (schema: Schema): unknown =>
    exampleOf(schema, '', '', (all, required) => {
      const must = all.filter((name) => required.includes(name));
      return must.length > 0 ? must : all.slice(0, 1);
    });
  /** Of what the API answers: every field. */
  const ofAnswer = (schema: Schema): unknown => exampleOf(schema, '', '', (all) => all);

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
      // What may be null is told where a value is known.
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

  return { ofRequest, ofAnswer };
}

interface Page {
  data: { id: string }[];
}

/** A page names its first and its last object. */
function withIds(page: Page): object {
  return { ...page, first_id: page.data[0]?.id, last_id: page.data.at(-1)?.id };
}

/** Of a field of this schema, or of a field of any; undefined: not known. */
function known(owner: string, field: string): unknown {
  const own = exampleValues[`${owner}.${field}`];
  return own === undefined ? exampleValues[field] : own;
}
