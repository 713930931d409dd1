import { isDeepStrictEqual } from 'node:util';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { checkFields, type Fault, isRecord, show, throwFaults } from './check.ts';
import {
  type LoraConfig,
  LoraConfigSchema,
  UNIMPLEMENTED_INIT_LORA_WEIGHTS,
  UNIMPLEMENTED_LORA_OPTIONS,
} from './lora-config.ts';
import { layerNumberPattern, patternFault } from './module-pattern.ts';
import { nearest } from './nearest.ts';

/** A PEFT config with every field filled in, told apart by `peft_type`. */
export const PeftConfigSchema = Type.Union([LoraConfigSchema]);
export type PeftConfig = LoraConfig;

/** What a request's `peft` may hold: `peft_type` and any of its method's options. For documentation; parsePeftConfig decides. */
export const PeftRequestSchema = Type.Object(
  {
    peft_type: LoraConfigSchema.properties.peft_type,
    ...Type.Partial(Type.Omit(LoraConfigSchema, ['peft_type'])).properties,
  },
  {
    $id: 'PeftRequest',
    description: 'A PEFT config with the field names of HF PEFT. Unknown options are errors.',
  },
);

/** Methods of HF PEFT 0.21.2, of the `adapters` library and of Graft's design that are not implemented. */
const UNIMPLEMENTED_PEFT_TYPES = (
  'PROMPT_TUNING MULTITASK_PROMPT_TUNING P_TUNING PREFIX_TUNING ADALORA ADAMSS BOFT ADAPTION_PROMPT IA3 BEFT LILY ' +
  'LOHA LOKR OFT POLY LN_TUNING VERA FROD PVERA FOURIERFT GLORA XLORA HRA VBLORA UNILORA CPT MISS RANDLORA ROAD ' +
  'TRAINABLE_TOKENS HIRA SHIRA C3A WAVEFT OSF DELORA GRALORA CARTRIDGE TINYLORA PSOFT PEANUT SHADOW SUPERTUNING ' +
  'DEFT BOTTLENECK SELECTIVE'
).split(' ');

const UNIMPLEMENTED_TASK_TYPES = [
  'SEQ_CLS',
  'SEQ_2_SEQ_LM',
  'TOKEN_CLS',
  'QUESTION_ANS',
  'FEATURE_EXTRACTION',
];

/** Fields PEFT writes into every adapter_config.json. They say nothing about how to train. */
const BOOKKEEPING: Record<string, unknown> = {
  auto_mapping: null,
  base_model_name_or_path: null,
  inference_mode: false,
  peft_version: null,
  revision: null,
};

/**
 * A complete PeftConfig from what a user sent, PEFT's defaults filled in; all faults in one GraftError.
 * With `saved`, from an adapter_config.json as HF PEFT writes it: its bookkeeping fields may hold anything and are left out.
 *
 * Codes: unknown_peft_type, unimplemented_peft_type, unknown_peft_option, unimplemented_peft_option, invalid_peft_config.
 */
export function parsePeftConfig(value: unknown, options: { saved?: boolean } = {}): PeftConfig {
  const faults: Fault[] = [];
  if (!isRecord(value)) {
    throwFaults([
      { code: 'invalid_peft_config', path: 'peft', message: `must be an object, got ${show(value)}` },
    ]);
    throw new Error('unreachable');
  }
  const typeFault = peftTypeFault(value.peft_type);
  if (typeFault) throwFaults([typeFault]);

  const { properties } = LoraConfigSchema;
  const given: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(value)) {
    if (option === undefined || (options.saved && Object.hasOwn(BOOKKEEPING, key))) continue;
    const fault = optionFault(key, option);
    if (fault) faults.push(fault);
    else if (Object.hasOwn(properties, key)) given[key] = option;
  }
  faults.push(...checkFields(given, properties, 'peft', 'invalid_peft_config'));
  if (faults.length === 0) faults.push(...loraFaults(given));
  throwFaults(faults);
  return Value.Default(LoraConfigSchema, structuredClone(given)) as LoraConfig;
}

function peftTypeFault(type: unknown): Fault | null {
  if (type === 'LORA') return null;
  const path = 'peft.peft_type';
  if (typeof type !== 'string') {
    return { code: 'invalid_peft_config', path, message: 'is required; Graft implements "LORA"' };
  }
  if (UNIMPLEMENTED_PEFT_TYPES.includes(type)) {
    return {
      code: 'unimplemented_peft_type',
      path,
      message: `${type} is not implemented yet; Graft implements "LORA"`,
    };
  }
  const [near] = nearest(type, ['LORA', ...UNIMPLEMENTED_PEFT_TYPES]);
  return {
    code: 'unknown_peft_type',
    path,
    message: `${show(type)} is not a PEFT method${near ? `; did you mean "${near}"?` : ''}`,
  };
}

function optionFault(key: string, value: unknown): Fault | null {
  const path = `peft.${key}`;
  const unimplemented = (message: string): Fault => ({ code: 'unimplemented_peft_option', path, message });
  if (Object.hasOwn(BOOKKEEPING, key)) {
    if (value === null || value === BOOKKEEPING[key]) return null;
    return { code: 'invalid_peft_config', path, message: 'is written by Graft and cannot be set' };
  }
  if (Object.hasOwn(UNIMPLEMENTED_LORA_OPTIONS, key)) {
    const fallback = UNIMPLEMENTED_LORA_OPTIONS[key];
    if (isDeepStrictEqual(value, fallback)) return null;
    return unimplemented(`is not implemented yet; leave it out or at PEFT's default, ${show(fallback)}`);
  }
  if (key === 'init_lora_weights' && typeof value === 'string') {
    if (UNIMPLEMENTED_INIT_LORA_WEIGHTS.includes(value) || /^pissa_niter_\d+$/.test(value)) {
      return unimplemented(
        `${show(value)} is not implemented yet; Graft implements true, false and "gaussian"`,
      );
    }
  }
  if (key === 'fan_in_fan_out' && value === true) return unimplemented('true is not implemented yet');
  if (key === 'task_type') {
    if (value === null) return null;
    if (UNIMPLEMENTED_TASK_TYPES.includes(value as string)) {
      return unimplemented(`${show(value)} is not implemented yet; Graft implements "CAUSAL_LM"`);
    }
  }
  if (Object.hasOwn(LoraConfigSchema.properties, key)) return null;
  const known = [...Object.keys(LoraConfigSchema.properties), ...Object.keys(UNIMPLEMENTED_LORA_OPTIONS)];
  const [near] = nearest(key, known);
  return {
    code: 'unknown_peft_option',
    path,
    message: `is not an option of LORA${near ? `; did you mean ${near}?` : ''}`,
  };
}

/** Rules between fields, as LoraConfig.__post_init__ has them, and regular expressions that cannot be used. */
function loraFaults(given: Record<string, unknown>): Fault[] {
  const config = given as Partial<LoraConfig>;
  const faults: Fault[] = [];
  const add = (field: string, message: string) =>
    faults.push({ code: 'invalid_peft_config', path: `peft.${field}`, message });
  const layers = config.layers_to_transform ?? null;
  const pattern = config.layers_pattern ?? null;
  if (typeof config.target_modules === 'string') {
    if (layers !== null) add('layers_to_transform', 'needs target_modules to be a list');
    if (pattern !== null) add('layers_pattern', 'needs target_modules to be a list');
  }
  if ([pattern ?? []].flat().length > 0 && layers === null)
    add('layers_pattern', 'needs layers_to_transform');

  const patterns: [field: string, pattern: string][] = [
    ...[config.target_modules, config.exclude_modules].flatMap((names, i): [string, string][] =>
      typeof names === 'string' ? [[i === 0 ? 'target_modules' : 'exclude_modules', names]] : [],
    ),
    ...[pattern ?? []].flat().map((each): [string, string] => ['layers_pattern', each]),
    // PEFT puts these names into a regular expression as they are.
    ...(config.modules_to_save ?? []).map((each): [string, string] => ['modules_to_save', each]),
    ...Object.keys(config.rank_pattern ?? {}).map((each): [string, string] => ['rank_pattern', each]),
    ...Object.keys(config.alpha_pattern ?? {}).map((each): [string, string] => ['alpha_pattern', each]),
  ];
  for (const [field, each] of patterns) {
    const fault = patternFault(each, field === 'layers_pattern' ? layerNumberPattern(each) : each);
    if (fault) add(field, `${show(each)} ${fault}`);
  }
  return faults;
}
