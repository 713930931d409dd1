import { setImmediate as turn } from 'node:timers/promises';
import { parsedElsewhere } from '@graft/wire/schema';
import { Ajv2020, type AnySchema, type Options } from 'ajv/dist/2020.js';
import fp from 'fastify-plugin';
import type { TSchema } from 'typebox';
import { ApiError } from '../api-error.ts';
import { describeFaults } from './validation-faults.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Compiles the request validators ahead of requests, one schema at a time, and lets pending requests run in between. */
    compileValidators(): Promise<void>;
  }
}

interface SchemaCompilersOptions {
  /** Schemas with an `$id`, which other schemas refer to. */
  shared: TSchema[];
  /** Throws if a response does not match its schema. */
  checkResponses: boolean;
}

/** Maximum number of values in a body for which all errors are reported. */
const manyValues = 1000;

const options: Options = {
  // Unknown keys are errors and never silently dropped.
  removeAdditional: false,
  useDefaults: true,
  allowUnionTypes: true,
  strictTypes: false,
  // Errors name the description of the schema that a value breaks.
  verbose: true,
};

/** Validates JSON bodies without coercion; query strings, paths and headers, which are text, with coercion. */
export const schemaCompilers = fp<SchemaCompilersOptions>(async (app, { shared, checkResponses }) => {
  for (const schema of shared) app.addSchema(schema);
  const withShared = (more: Options) => {
    const ajv = new Ajv2020({ ...options, ...more });
    for (const schema of shared) ajv.addSchema(validated(schema) as AnySchema);
    return ajv;
  };
  const [strict, strictAll] = firstAndAll(withShared, { coerceTypes: false });
  const [coercing, coercingAll] = firstAndAll(withShared, { coerceTypes: true });
  const answers = withShared({ coerceTypes: false, useDefaults: false });

  const validators: (() => unknown)[] = [];
  app.decorate('compileValidators', async () => {
    for (const compile of validators) {
      compile();
      await turn();
    }
  });

  app.setValidatorCompiler(({ schema, httpPart }) => {
    const body = httpPart === 'body';
    const checked = validated(schema) as AnySchema;
    const validator = onceNeeded(() => (body ? strict : coercing).compile(checked));
    validators.push(validator);
    const findAll = onceNeeded(() => (body ? strictAll : coercingAll).compile(checked));
    const numbers = body ? [] : numbersOf(schema);
    return (data: unknown) => {
      const odd = numbers.find((name) => isOddNumber((data as Record<string, unknown>)[name]));
      if (odd !== undefined) {
        return { error: new ApiError('invalid_value', `Invalid '${odd}': must be integer.`, { param: odd }) };
      }
      const validate = validator();
      if (validate(data)) return { value: data };
      // Finding all errors of a large body would take seconds, so only the first is reported.
      const first = validate.errors ?? [];
      if (hasMoreValues(data, manyValues)) return { error: describeFaults(first, body) };
      const inAll = findAll();
      return { error: describeFaults(inAll(data) ? first : (inAll.errors ?? first), body) };
    };
  });

  app.setSerializerCompiler(({ schema, url, httpStatus }) => {
    if (!checkResponses) return (data) => JSON.stringify(data);
    const validator = onceNeeded(() => answers.compile(schema as AnySchema));
    return (data) => {
      const validate = validator();
      const text = JSON.stringify(data);
      // Checks what the client will parse, without undefined keys.
      if (!validate(JSON.parse(text))) {
        throw new Error(`${url} ${httpStatus}: ${answers.errorsText(validate.errors)} in ${text}`);
      }
      return text;
    };
  });
});

/** Computes on first use. Compiling takes milliseconds per schema, a second for all: a starting process can respond before that. */
function onceNeeded<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Names of the integer parameters of a query or a path. */
function numbersOf(schema: unknown): string[] {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  return Object.entries(properties)
    .filter(([, { type }]) => type === 'integer')
    .map(([name]) => name);
}

/** Text that Ajv would coerce to a number but not check against its bounds: 1e400 is infinite, 0x10 is not decimal. */
function isOddNumber(value: unknown): boolean {
  return typeof value === 'string' && !/^-?\d{1,15}$/.test(value);
}

/** A validator that stops at the first error, and one that finds all. */
function firstAndAll(withShared: (more: Options) => Ajv2020, more: Options): [Ajv2020, Ajv2020] {
  return [withShared(more), withShared({ ...more, allErrors: true })];
}

/** Checks whether `data` contains more than `most` values. Stops counting there. */
function hasMoreValues(data: unknown, most: number): boolean {
  const open = [data];
  for (let count = 0; open.length > 0; count++) {
    const value = open.pop();
    if (typeof value === 'object' && value !== null) {
      for (const key in value) {
        open.push(value[key as keyof typeof value]);
        if (count + open.length > most) return true;
      }
    }
  }
  return false;
}

/** The schema without the parts that only document. */
function validated(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(validated);
  if (typeof schema !== 'object' || schema === null) return schema;
  if (parsedElsewhere in schema) return {};
  return Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, validated(part)]));
}
