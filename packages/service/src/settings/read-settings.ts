import type { Kind } from './kinds.ts';
import { type SettingName, settings } from './sections.ts';
import type { Setting } from './setting.ts';

type Parsed<S> = S extends { kind: Kind<infer T> }
  ? S extends { default: string }
    ? T
    : T | undefined
  : never;

/** The parsed value; undefined for an unset setting without a default. */
export type SettingValue<N extends SettingName> = Parsed<(typeof settings)[N]>;

export type ReadSetting = <N extends SettingName>(name: N) => SettingValue<N>;

/** Reads settings and collects their faults. */
export interface SettingReader {
  /** Adds a faulty setting to `faults`, and reads it as if it were unset. */
  read: ReadSetting;
  /** Each fault names its setting, never its value. */
  faults: Set<string>;
  /** Throws one Error with all faults, if there are any. */
  check(): void;
}

export function settingReader(env: NodeJS.ProcessEnv): SettingReader {
  const faults = new Set<string>();
  const read = (name: SettingName): unknown => {
    const { kind, default: fallback }: Setting = settings[name];
    const value = env[name] ? kind.parse(env[name]) : undefined;
    if (value !== undefined) return value;
    if (env[name]) faults.add(`${name} must be ${kind.form}`);
    return fallback === undefined ? undefined : kind.parse(fallback);
  };
  return { read: read as ReadSetting, faults, check: () => throwFaults(faults) };
}

function throwFaults(faults: Set<string>): void {
  if (faults.size > 0)
    throw new Error(`Faulty environment:\n${[...faults].map((fault) => `  ${fault}`).join('\n')}`);
}
