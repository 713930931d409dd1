import { methodOf, methods, type PeftConfig, type PeftType } from '../tuners/methods.ts';
import { pythonJson } from './python-json.ts';

/** The version of HF PEFT whose files these are. */
export const peftVersion = '0.21.2';

/** Fields of every adapter_config.json besides the method's own. */
export interface AdapterConfigCommon {
  auto_mapping: null;
  base_model_name_or_path: string | null;
  inference_mode: boolean;
  peft_version: string | null;
  revision: string | null;
  task_type: string | null;
}

/** Whether `field` is one that the library of this method knows. */
export function isKnownField(peftType: unknown, field: string): boolean {
  if (typeof peftType !== 'string' || !Object.hasOwn(methods, peftType)) return true;
  const { schema, unimplemented } = methods[peftType as PeftType];
  return Object.hasOwn(schema.properties, field) || Object.hasOwn(unimplemented, field);
}

/** The text of adapter_config.json: every field that PEFT writes, keys sorted, two spaces. */
export function adapterConfigText(peft: PeftConfig, common: Partial<AdapterConfigCommon>): string {
  const { unimplemented, floats = [], written } = methodOf(peft);
  // PEFT keeps runtime_config out of the file.
  const { runtime_config: _, ...absent } = unimplemented;
  const fields = {
    ...absent,
    ...(written?.(peft, common.base_model_name_or_path ?? null) ?? peft),
    auto_mapping: null,
    base_model_name_or_path: common.base_model_name_or_path ?? null,
    inference_mode: true,
    peft_version: peftVersion,
    revision: common.revision ?? null,
    task_type: common.task_type ?? peft.task_type,
  };
  return pythonJson(fields, floats);
}
