import type { TObject } from 'typebox';
import type { Fault } from '../schema/check-fields.ts';

/** What Graft knows of one method's config; in `tuners/<method>/config.ts`, with a row in `methods.ts`. */
export interface MethodConfig {
  schema: TObject;
  /** Options that HF PEFT has for the method and Graft has not, with PEFT's defaults: at its default one asks for nothing. */
  unimplemented: Record<string, unknown>;
  /** Why a value that the library knows for an implemented option is not implemented; null for all other values. */
  unimplementedValue?(option: string, value: unknown): string | null;
  /** A request's shorthand, such as a preset, as the fields it stands for; before defaults are filled in. */
  expand?(given: Record<string, unknown>): Record<string, unknown>;
  /** Rules between fields, given only fields that fit the schema by themselves. */
  faults?(given: Record<string, unknown>): Fault[];
  /** Options that say nothing beside the others, given as to `faults`: faults of a request, not of files, whose writer passed over them. */
  idle?(given: Record<string, unknown>): Fault[];
  /** The config as the files hold it, where they tell of the base model by its name; null when it has none. */
  written?(config: Record<string, unknown>, baseModelName: string | null): Record<string, unknown>;
  /** What `learning_rate: "auto"` means, where it depends on the config as a function of it. */
  learningRate: number | ((config: Record<string, unknown>) => number);
  /** Fields that Python writes as floats: 0.0 and not 0. */
  floats?: string[];
}
