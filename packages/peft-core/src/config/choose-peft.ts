import { isDeepStrictEqual } from 'node:util';
import { isRecord } from '../schema/check-fields.ts';
import type { Method } from '../tuners/method.ts';
import { methodOf, methods, type PeftConfig, type PeftType } from '../tuners/methods.ts';
import { BOOKKEEPING } from './peft-config.ts';

/** An option that a request omits although its default in HF PEFT costs more quality than users expect. */
export interface PeftWarning {
  /** Path of the option, such as `peft.lora_alpha`. */
  param: string;
  /** The value used, and a better one. */
  message: string;
}

/**
 * Completes `peft` of a request with the options that it leaves to Graft: all if it names only a method and its form, and those set to
 * "auto". `parsePeftConfig` fills other omitted options with HF PEFT's defaults, and rejects invalid ones.
 *
 * `r`: the rank of a sweep's trial. `maxRank`: the largest that is chosen.
 */
export function choosePeft(
  given: unknown,
  { r, maxRank = Number.POSITIVE_INFINITY }: { r?: number | undefined; maxRank?: number | undefined } = {},
): unknown {
  const method = methodIn(given);
  if (!method) return given;
  const { rest, options } = apart(given as Record<string, unknown>);
  const withRank = r === undefined ? options : { ...options, r };
  if (isMethodAlone(method, options)) {
    if (!method.choose) return method.usualNeedsModel ? given : { ...rest, ...method.usual, ...withRank };
    return { ...rest, ...method.choose(withRank, maxRank), ...withRank };
  }
  if (!method.choose) return { ...rest, ...withRank };
  const chosen = Object.entries(method.choose(withoutAuto(withRank), maxRank));
  return {
    ...rest,
    ...withRank,
    ...Object.fromEntries(chosen.filter(([option]) => isAutomatic(method, withRank, option))),
  };
}

/** Warnings about omitted options with a costly default. `given` is the same as for `choosePeft`. */
export function peftWarnings(given: unknown): PeftWarning[] {
  const method = methodIn(given);
  if (!method?.choose) return [];
  const { options } = apart(given as Record<string, unknown>);
  if (isMethodAlone(method, options)) return [];
  const chosen = method.choose(withoutAuto(options), Number.POSITIVE_INFINITY);
  return Object.entries(method.costly ?? {}).flatMap(([option, cost]) => {
    if ((options[option] ?? null) !== null) return [];
    const better = JSON.stringify(chosen[option]);
    const message = `peft.${option} is left out: ${cost}, as with HF PEFT. ${better} learns more (docs/auto.md): give it, or "auto".`;
    return [{ param: `peft.${option}`, message }];
  });
}

/**
 * Reasons for options that have HF PEFT's costly default, by option; each reads as a continuation of the value. `given`: `peft` of the
 * request; if undefined, because it is no longer known, a requested default cannot be distinguished from an omitted option.
 */
export function peftReasons(peft: PeftConfig, given?: unknown): Record<string, string> {
  const method = methodOf(peft);
  if (!method.choose) return {};
  const asked = isRecord(given) ? given : {};
  const values: Record<string, unknown> = { ...peft };
  const chosen = method.choose(values, Number.POSITIVE_INFINITY);
  const { properties } = method.schema;
  const costly = Object.keys(method.costly ?? {}).filter((option) => {
    if ((asked[option] ?? null) !== null) return false;
    const { default: fallback } = properties[option] as { default?: unknown };
    return isDeepStrictEqual(values[option], fallback) && !isDeepStrictEqual(values[option], chosen[option]);
  });
  return Object.fromEntries(
    costly.map((option) => [
      option,
      `as HF PEFT does where it is left out; ${JSON.stringify(chosen[option])} learns more`,
    ]),
  );
}

function methodIn(given: unknown): Method<PeftConfig> | null {
  if (!isRecord(given) || typeof given.peft_type !== 'string' || !Object.hasOwn(methods, given.peft_type))
    return null;
  return methods[given.peft_type as PeftType] as Method<PeftConfig>;
}

/** Splits `given` into method and bookkeeping fields (`rest`), and the given options. */
function apart(given: Record<string, unknown>): Record<'rest' | 'options', Record<string, unknown>> {
  const rest: Record<string, unknown> = {};
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const isOption = name !== 'peft_type' && !Object.hasOwn(BOOKKEEPING, name) && value !== undefined;
    (isOption ? options : rest)[name] = value;
  }
  return { rest, options };
}

function isAutomatic(
  { chosenWith = {} }: Method<PeftConfig>,
  options: Record<string, unknown>,
  option: string,
): boolean {
  const other = chosenWith[option];
  return options[options[option] === undefined && other ? other : option] === 'auto';
}

function isMethodAlone({ forms = [] }: Method<PeftConfig>, options: Record<string, unknown>): boolean {
  return Object.keys(options).every((option) => option === 'task_type' || forms.includes(option));
}

const withoutAuto = (options: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== 'auto'));
