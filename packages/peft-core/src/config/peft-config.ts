import { isDeepStrictEqual } from 'node:util';
import { type TProperties, type TSchema, Type } from 'typebox';
import { isClassifier, TASK_TYPES } from '../outlines/outline.ts';
import {
  checkFields,
  configFault,
  cut,
  type Fault,
  isRecord,
  MAX_FAULTS,
  show,
  throwFaults,
} from '../schema/check-fields.ts';
import { nearest } from '../schema/nearest.ts';
import {
  defaultPeft,
  methodOf,
  methods,
  type PeftConfig,
  type PeftType,
  peftTypes,
} from '../tuners/methods.ts';
import { CLASSIFIER_HEADS } from '../tuners/target-modules.ts';

/** Each method's config with every field filled in. */
export const methodSchemas = Object.values(methods).map(({ schema }) => schema);

/** A PEFT config with every field filled in, discriminated by `peft_type`; refers to `methodSchemas` by their `$id`. */
export const PeftConfigSchema = Type.Unsafe<PeftConfig>({
  $id: 'PeftConfig',
  description: 'A PEFT config with every field filled in.',
  anyOf: methodSchemas.map((schema) => ({ $ref: `${(schema as { $id?: string }).$id}#` })),
});

const AUTO = Type.Literal('auto', {
  description:
    'What Graft chooses (docs/auto.md), of methods for which it does. The job has the value that was chosen.',
});

/** Schema of a request's `peft`: `peft_type` and any of its method's options. For documentation; parsePeftConfig validates. */
export const PeftRequestSchema = Type.Object(
  {
    peft_type: Type.Optional(
      Type.Enum(peftTypes, {
        type: 'string',
        default: defaultPeft.peft_type,
        description: 'The PEFT method.',
      }),
    ),
    ...requestOptions(),
  },
  {
    $id: 'PeftRequest',
    description:
      'A PEFT config with the field names of HF PEFT. Where it names a method and no more than its form (`task_type`, `use_dora`, `use_rslora`), Graft chooses the options; else what is left out has HF PEFT’s default. Without `task_type`, the task is the one that trains on the lines of the files. Unknown options are errors.',
  },
);

/** The options of all methods. An option whose schema differs between methods accepts any of these schemas. */
function requestOptions(): TProperties {
  const forms = new Map<string, TSchema[]>();
  const automatic = new Set(
    Object.values(methods).flatMap(({ choose }) => Object.keys(choose?.({}, 1) ?? {})),
  );
  for (const { schema } of Object.values(methods)) {
    const { properties } = Type.Partial(Type.Omit(schema, ['peft_type']));
    for (const [option, form] of Object.entries(properties as TProperties)) {
      const known = forms.get(option) ?? (automatic.has(option) ? [Type.Optional(AUTO)] : []);
      if (!known.some((other) => isDeepStrictEqual(other, form))) forms.set(option, [...known, form]);
    }
  }
  return Object.fromEntries(
    [...forms].map(([option, all]) => [option, all.length === 1 ? all[0]! : Type.Optional(Type.Union(all))]),
  );
}

/** Methods of HF PEFT 0.21.2 that are not implemented. */
const UNIMPLEMENTED_PEFT_TYPES = (
  'MULTITASK_PROMPT_TUNING ADALORA ADAMSS BOFT ADAPTION_PROMPT BEFT LILY ' +
  'POLY FROD PVERA FOURIERFT GLORA XLORA HRA VBLORA UNILORA CPT RANDLORA ROAD ' +
  'SHIRA C3A WAVEFT OSF DELORA GRALORA CARTRIDGE TINYLORA PSOFT PEANUT SHADOW SUPERTUNING ' +
  'DEFT'
).split(' ');

const UNIMPLEMENTED_TASK_TYPES = ['QUESTION_ANS'];

/** Fields that PEFT writes into every adapter_config.json and that do not affect training, with their defaults. */
export const BOOKKEEPING: Record<string, unknown> = {
  auto_mapping: null,
  base_model_name_or_path: null,
  inference_mode: false,
  peft_version: null,
  revision: null,
};

/**
 * Parses user input into a complete PeftConfig with PEFT's defaults; reports all faults in one GraftError.
 * With `saved`, parses an adapter_config.json as HF PEFT writes it: its bookkeeping fields may have any value and are dropped,
 * and options that have no effect in combination with the others are accepted.
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
  const type = value.peft_type as PeftType;
  const method = methods[type];
  const { properties } = method.schema;
  const given: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(value)) {
    if (option === undefined || (options.saved && Object.hasOwn(BOOKKEEPING, key))) continue;
    if (faults.length >= MAX_FAULTS) break;
    const fault = optionFault(type, key, option);
    if (fault) faults.push(fault);
    else if (Object.hasOwn(properties, key) && !(key === 'task_type' && option === null)) given[key] = option;
  }
  faults.push(...checkFields(given, properties, 'peft', 'invalid_peft_config'));
  if (faults.length === 0) faults.push(...(method.faults?.(given) ?? []));
  if (faults.length === 0 && !options.saved) faults.push(...(method.idle?.(given) ?? []));
  throwFaults(faults);
  const complete = structuredClone(method.expand?.(given) ?? given);
  const config = withHeadsToSave({ ...complete, ...defaultsBeside(complete, properties) } as PeftConfig);
  return options.saved ? (methodOf(config).read?.(config) ?? config) : config;
}

/** Defaults of the options that are not given. Only whole options have defaults; typebox would search every list for nested ones. */
function defaultsBeside(given: object, properties: TProperties): Record<string, unknown> {
  const missing = Object.entries(properties).filter(([option]) => !Object.hasOwn(given, option));
  return Object.fromEntries(
    missing.flatMap(([option, schema]) =>
      'default' in schema ? [[option, structuredClone(schema.default)]] : [],
    ),
  );
}

/** Every method trains the full head of a classifier. PEFT lists it in modules_to_save, under both names that heads can have. */
function withHeadsToSave(config: PeftConfig): PeftConfig {
  if (!isClassifier(config.task_type) || !('modules_to_save' in config)) return config;
  const modules_to_save = [...new Set([...(config.modules_to_save ?? []), ...CLASSIFIER_HEADS])];
  return { ...config, modules_to_save };
}

function peftTypeFault(type: unknown): Fault | null {
  const path = 'peft.peft_type';
  const known = `Graft implements ${peftTypes.join(', ')}`;
  if (typeof type !== 'string') return configFault('peft_type', `is required; ${known}`);
  if (Object.hasOwn(methods, type)) return null;
  if (UNIMPLEMENTED_PEFT_TYPES.includes(type))
    return { code: 'unimplemented_peft_type', path, message: `${type} is not implemented; ${known}` };
  const [near] = nearest(type, [...peftTypes, ...UNIMPLEMENTED_PEFT_TYPES]);
  return {
    code: 'unknown_peft_type',
    path,
    message: `${show(type)} is not a PEFT method${near ? `; did you mean "${near}"?` : ''}`,
  };
}

function optionFault(type: PeftType, key: string, value: unknown): Fault | null {
  const path = `peft.${cut(key, 100)}`;
  const { schema, unimplemented, unimplementedValue } = methods[type];
  const notYet = (message: string): Fault => ({ code: 'unimplemented_peft_option', path, message });
  if (Object.hasOwn(BOOKKEEPING, key)) {
    if (value === null || value === BOOKKEEPING[key]) return null;
    return configFault(key, 'is written by Graft and cannot be set');
  }
  if (Object.hasOwn(unimplemented, key)) {
    const fallback = unimplemented[key];
    if (isDeepStrictEqual(value, fallback)) return null;
    return notYet(`is not implemented yet; leave it out or at the default, ${show(fallback)}`);
  }
  const reason = unimplementedValue?.(key, value);
  if (reason) return notYet(reason);
  if (key === 'task_type' && UNIMPLEMENTED_TASK_TYPES.includes(value as string))
    return notYet(`${show(value)} is not implemented; Graft implements ${TASK_TYPES.join(', ')}`);
  if (Object.hasOwn(schema.properties, key)) return null;
  const [near] = nearest(key, [...Object.keys(schema.properties), ...Object.keys(unimplemented)]);
  return {
    code: 'unknown_peft_option',
    path,
    message: `is not an option of ${type}${near ? `; did you mean ${near}?` : ''}`,
  };
}
