import { GraftError } from '../errors.ts';

/** Maximum number of keys of one config; PEFT's largest configs have 40. */
const maxKeys = 200;
/** Larger numbers are useless for any method, and overflow in computations. */
const largestNumber = 1e6;

/**
 * Checks the fields of an adapter_config.json that are independent of the model and that PEFT's own loaders act on wherever the files
 * are used later: names of modules to import, paths, versions. Throws GraftError `invalid_peft_config`, which names the field.
 */
export function checkCommonFields(raw: Record<string, unknown>): void {
  const keys = Object.keys(raw);
  if (keys.length > maxKeys) throw fault('peft', `has ${keys.length} keys; at most ${maxKeys} are accepted`);
  checkLoaderFields(raw);
  for (const [key, value] of Object.entries(raw)) checkNumbers(key, value);
}

/** Checks only the text fields that loaders act on. Throws like `checkCommonFields`. */
export function checkLoaderFields(raw: Record<string, unknown>): void {
  checkText(raw, 'base_model_name_or_path', 512);
  checkText(raw, 'revision', 200);
  checkText(raw, 'peft_version', 64);
  const { inference_mode: inference = null, auto_mapping: mapping = null } = raw;
  if (inference !== null && typeof inference !== 'boolean')
    throw fault('inference_mode', 'must be true or false');
  if (mapping !== null) checkMapping(mapping);
}

function fault(field: string, message: string): GraftError {
  const shown = field.slice(0, 100);
  return new GraftError('invalid_peft_config', `${shown}: ${message}`, { param: `peft.${shown}` });
}

function checkText(raw: Record<string, unknown>, field: string, most: number): void {
  const value = raw[field] ?? null;
  if (value === null) return;
  if (typeof value !== 'string' || value.length > most || /\p{C}/u.test(value))
    throw fault(field, `must be null or at most ${most} printable characters`);
}

/** Checks the field that names a module for PEFT to import. */
function checkMapping(mapping: unknown): void {
  const { base_model_class: model, parent_library: library, ...others } = Object(mapping);
  const isOfTransformers =
    typeof library === 'string' &&
    library.length <= 200 &&
    /^transformers(\.[a-z_0-9]+)*$/.test(library) &&
    typeof model === 'string' &&
    /^[A-Za-z_0-9]{1,100}$/.test(model);
  if (isOfTransformers && Object.keys(others).length === 0) return;
  throw fault('auto_mapping', 'must be null or name a class of transformers, which loaders import');
}

function checkNumbers(key: string, value: unknown): void {
  const waiting = [value];
  while (waiting.length > 0) {
    const part = waiting.pop();
    if (typeof part === 'number' && !(Math.abs(part) <= largestNumber))
      throw fault(key, `holds ${part}; the largest number is ${largestNumber}`);
    // Pushed one by one: the number of arguments of a call is limited, and a list in the file may be longer.
    if (typeof part === 'object' && part !== null)
      for (const inner of Object.values(part)) waiting.push(inner);
  }
}
