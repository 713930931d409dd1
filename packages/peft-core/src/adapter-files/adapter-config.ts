import { pythonJson } from '../base-model/json-file.ts';
import { methodOf, methods, type PeftConfig, type PeftType } from '../tuners/methods.ts';

/** The version of HF PEFT whose file format is written. */
const PEFT_VERSION = '0.21.2';

/** Fields of every adapter_config.json, in addition to the method's own. */
export interface AdapterConfigCommon {
  auto_mapping: null;
  base_model_name_or_path: string | null;
  inference_mode: boolean;
  peft_version: string | null;
  revision: string | null;
  task_type: string | null;
}

/** Returns true if the method's library knows `field`. */
export function isKnownField(peftType: unknown, field: string): boolean {
  if (typeof peftType !== 'string' || !Object.hasOwn(methods, peftType)) return true;
  const { schema, unimplemented } = methods[peftType as PeftType];
  return Object.hasOwn(schema.properties, field) || Object.hasOwn(unimplemented, field);
}

/** The text of adapter_config.json: every field that PEFT writes, with sorted keys and an indentation of two spaces. */
export function adapterConfigText(peft: PeftConfig, baseModelName: string | null): string {
  const { unimplemented, floats = [], written } = methodOf(peft);
  // PEFT does not write runtime_config.
  const { runtime_config: _, ...absent } = unimplemented;
  const fields = {
    ...absent,
    ...(written?.(peft, baseModelName) ?? peft),
    auto_mapping: null,
    base_model_name_or_path: baseModelName,
    inference_mode: true,
    peft_version: PEFT_VERSION,
    revision: null,
  };
  return pythonJson(fields, floats);
}
