import { UNIMPLEMENTED_LORA_OPTIONS } from '../config/lora-config.ts';
import { type LoraConfig, LoraConfigSchema, type PeftConfig } from '../config.ts';

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

/** Every field that PEFT writes for a method, by peft_type: options that Graft does not have stand at PEFT's default. */
const methodFields: {
  [Type in PeftConfig['peft_type']]: (config: Extract<PeftConfig, { peft_type: Type }>) => object;
} = {
  LORA: loraFields,
};

function loraFields(config: LoraConfig): object {
  // PEFT keeps runtime_config out of the file.
  const { runtime_config: _, ...absent } = UNIMPLEMENTED_LORA_OPTIONS;
  return { ...absent, ...config };
}

/** Whether `field` is one that PEFT 0.21 knows. */
export function isKnownField(field: string): boolean {
  return (
    Object.hasOwn(LoraConfigSchema.properties, field) || Object.hasOwn(UNIMPLEMENTED_LORA_OPTIONS, field)
  );
}

/** The text of adapter_config.json: every field that PEFT writes, keys sorted, two spaces. */
export function adapterConfigText(peft: PeftConfig, common: Partial<AdapterConfigCommon>): string {
  const fields = {
    ...methodFields[peft.peft_type](peft),
    auto_mapping: null,
    base_model_name_or_path: common.base_model_name_or_path ?? null,
    inference_mode: true,
    peft_version: peftVersion,
    revision: common.revision ?? null,
    task_type: common.task_type ?? peft.task_type,
  };
  // Python writes a whole float as one: 0.0.
  return JSON.stringify(sorted(fields), null, 2).replace(/("lora_dropout": \d+)(?=,\n)/, '$1.0');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, sorted(item)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
