import { GraftError } from '../errors.ts';

/** Keys of one config; PEFT's longest have 40. */
const mostKeys = 200;
/** Larger numbers make no use of a method, and overflow on the way. */
const largestNumber = 1e6;

/**
 * Checks the fields of an adapter_config.json that do not concern the model, and that PEFT's own loaders act on wherever the files go
 * later: names of modules to import, paths, versions. Throws GraftError `invalid_peft_config` naming the field.
 */
export function checkCommonFields(raw: Record<string, unknown>): void {
  const keys = Object.keys(raw);
  if (keys.length > mostKeys) throw fault('peft', `has ${keys.length} keys; at most ${mostKeys} are taken`);
  checkLoaderFields(raw);
  for (const [key, value] of Object.entries(raw)) checkNumbers(key, value);
}

/** The fields among them that loaders act on by their text. Throws as `checkCommonFields`. */
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

/** PEFT imports the module that is named here. */
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
    // One by one: an argument list has a limit, and a list in the file may be longer.
    if (typeof part === 'object' && part !== null)
      for (const inner of Object.values(part)) waiting.push(inner);
  }
}
