import type { ModelOutline } from '../outlines/outline.ts';
import { bottleneckMethod } from './bottleneck/method.ts';
import { hiraMethod } from './hira/method.ts';
import { ia3Method } from './ia3/method.ts';
import { lnTuningMethod } from './ln-tuning/method.ts';
import { lohaMethod } from './loha/method.ts';
import { lokrMethod } from './lokr/method.ts';
import { loraMethod, usualLora, withoutExperts } from './lora/method.ts';
import type { LeadingPositions, Method } from './method.ts';
import { missMethod } from './miss/method.ts';
import { oftMethod } from './oft/method.ts';
import { pTuningMethod } from './p-tuning/method.ts';
import { prefixTuningMethod } from './prefix-tuning/method.ts';
import { promptTuningMethod } from './prompt-tuning/method.ts';
import { selectiveMethod } from './selective/method.ts';
import { trainableTokensMethod } from './trainable-tokens/method.ts';
import { veraMethod } from './vera/method.ts';

/** The description of every method, by `peft_type`; `registry.ts` has the same rows. Loads no TensorFlow. */
const rows = {
  LORA: loraMethod,
  IA3: ia3Method,
  LN_TUNING: lnTuningMethod,
  TRAINABLE_TOKENS: trainableTokensMethod,
  SELECTIVE: selectiveMethod,
  BOTTLENECK: bottleneckMethod,
  PROMPT_TUNING: promptTuningMethod,
  P_TUNING: pTuningMethod,
  PREFIX_TUNING: prefixTuningMethod,
  MISS: missMethod,
  OFT: oftMethod,
  HIRA: hiraMethod,
  LOKR: lokrMethod,
  LOHA: lohaMethod,
  VERA: veraMethod,
};

/** The method and options of a job that names no method. */
export const defaultPeft = { peft_type: 'LORA', ...usualLora, ...withoutExperts };

/** `defaultPeft` with a maximum rank; null: no maximum. */
export function defaultPeftWithin(maxRank: number | null): typeof defaultPeft {
  return { ...defaultPeft, r: Math.min(defaultPeft.r, maxRank ?? defaultPeft.r) };
}

export type PeftType = keyof typeof rows;
type ConfigOf<Row> = Row extends Method<infer Config> ? Config : never;

/** A PEFT config with every field set: of any method, or of the method `Type`. */
export type PeftConfig<Type extends PeftType = PeftType> = ConfigOf<(typeof rows)[Type]>;

export const methods: { [Type in PeftType]: Method<PeftConfig<Type>> } = rows;
export const peftTypes = Object.keys(rows) as PeftType[];

export function methodOf({ peft_type }: PeftConfig): Method<PeftConfig> {
  return methods[peft_type] as Method<PeftConfig>;
}

/** The config of the adapter that training with `peft` publishes. */
export function publishedPeft(peft: PeftConfig): PeftConfig {
  // A row in the database may be of a method that this version of Graft does not know.
  const method: Method<PeftConfig> | undefined = methodOf(peft);
  return method?.published?.(peft) ?? peft;
}

export function leadingPositions(peft: PeftConfig): LeadingPositions {
  return methodOf(peft).leadingPositions?.(peft) ?? { virtualTokens: 0, prefixLength: 0 };
}

/** The tokens from whose last occurrence in a sequence on the adapter is active; null: it always is. */
export function invocationOf(peft: PeftConfig): readonly number[] | null {
  return methodOf(peft).invocation?.(peft) ?? null;
}

/** The configuration of these trials that leaves the fewest positions for text: examples that fit with it fit with all. */
export function longestLead(trials: readonly { peft: PeftConfig }[]): PeftConfig {
  const lead = ({ peft }: { peft: PeftConfig }) => {
    const { virtualTokens, prefixLength } = leadingPositions(peft);
    // A tie goes to one with an invocation, which every example must have.
    return virtualTokens + prefixLength + (invocationOf(peft) ? 0.5 : 0);
  };
  return trials.reduce((most, each) => (lead(each) > lead(most) ? each : most)).peft;
}

/** Why an adapter with this config cannot be merged into the weights of its base model, as a clause; null if it can. */
export function unmergeable(peft: PeftConfig, model: ModelOutline): string | null {
  return methodOf(peft).unmergeable?.(peft, model) ?? null;
}

/** Checks whether a runtime loads an adapter with this config once all its updates have one rank and scale: `writePaddedAdapter` pads them. */
export function isHeldPadded(peft: PeftConfig, runtime: string): boolean {
  const uniform = methodOf(peft).uniform?.(peft, 1, 1);
  return uniform !== undefined && runtimesFor(uniform).includes(runtime);
}

/** The runtimes that load an adapter with this config without conversion; Graft and the method's own library come first. */
export function runtimesFor(peft: PeftConfig): string[] {
  const { library, servedBy = {} } = methodOf(peft);
  const others = Object.keys(servedBy).filter((runtime) => servedBy[runtime]?.(peft));
  return ['Graft', ...(library ? [library] : []), ...others];
}
