import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** Returns a function that checks whether a text is the JSON of a value that a schema allows. */
export function validatorOf(schema: unknown): (text: string) => boolean {
  // With a division as its test of multiples, 19.99 is none of 0.01.
  const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 6, logger: false });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  const isValid = ajv.compile(schema as object | boolean);
  return (text) => {
    try {
      return isValid(JSON.parse(text));
    } catch {
      return false;
    }
  };
}
