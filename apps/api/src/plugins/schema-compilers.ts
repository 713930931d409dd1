import { Ajv2020, type AnySchema, type Options } from 'ajv/dist/2020.js';
import fp from 'fastify-plugin';
import type { TSchema } from 'typebox';
import { parsedElsewhere } from '../schemas/schema.ts';
import { describeFaults } from './validation-faults.ts';

interface SchemaCompilersOptions {
  /** Schemas with an `$id`, which others refer to. */
  shared: TSchema[];
  /** Answers that do not match their schema throw. */
  checkResponses: boolean;
}

const options: Options = {
  // Every fault is reported together. The body limit bounds how many there can be.
  allErrors: true,
  // Unknown keys are faults, never dropped in silence.
  removeAdditional: false,
  useDefaults: true,
  allowUnionTypes: true,
  strictTypes: false,
};

/** Ajv takes JSON bodies exactly as they are; query strings, paths and headers, text by nature, with coercion. */
export const schemaCompilers = fp<SchemaCompilersOptions>(async (app, { shared, checkResponses }) => {
  for (const schema of shared) app.addSchema(schema);
  const withShared = (more: Options) => {
    const ajv = new Ajv2020({ ...options, ...more });
    for (const schema of shared) ajv.addSchema(validated(schema) as AnySchema);
    return ajv;
  };
  const strict = withShared({ coerceTypes: false });
  const coercing = withShared({ coerceTypes: true });
  const answers = withShared({ coerceTypes: false, useDefaults: false });

  app.setValidatorCompiler(({ schema, httpPart }) => {
    const validate = (httpPart === 'body' ? strict : coercing).compile(validated(schema) as AnySchema);
    return (data: unknown) => {
      if (validate(data)) return { value: data };
      return { error: describeFaults(validate.errors ?? [], httpPart === 'body') };
    };
  });

  app.setSerializerCompiler(({ schema, url, httpStatus }) => {
    if (!checkResponses) return (data) => JSON.stringify(data);
    const validate = answers.compile(schema as AnySchema);
    return (data) => {
      const text = JSON.stringify(data);
      // What the client will parse: undefined keys are gone by then.
      if (!validate(JSON.parse(text))) {
        throw new Error(`${url} ${httpStatus}: ${answers.errorsText(validate.errors)} in ${text}`);
      }
      return text;
    };
  });
});

/** The schema without the parts that are only documented. */
function validated(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(validated);
  if (typeof schema !== 'object' || schema === null) return schema;
  if (parsedElsewhere in schema) return {};
  return Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, validated(part)]));
}
