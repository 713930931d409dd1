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

/** `leaseSeconds` for GRAFT_LEASE_SECONDS; `cacheBytes` for GRAFT_CACHE_MB, which is parsed to bytes. */
type PropertyOf<Name extends string> = Name extends `GRAFT_${infer Rest}`
  ? PropertyOf<Rest>
  : Name extends `${infer Rest}_MB`
    ? PropertyOf<`${Rest}_BYTES`>
    : Name extends `${infer First}_${infer Rest}`
      ? `${Lowercase<First>}${Capitalize<PropertyOf<Rest>>}`
      : Lowercase<Name>;

/** The parsed values of rows, each as the property that its name gives, without those that are read elsewhere. */
export type SettingsOf<Rows> = {
  [Name in keyof Rows & string as Rows[Name] extends { elsewhere: true } ? never : PropertyOf<Name>]: Parsed<
    Rows[Name]
  >;
};

/** The property of the parsed environment that has this setting. */
export const propertyOf = (name: string) =>
  name
    .replace(/^GRAFT_/, '')
    .replace(/_MB$/, '_BYTES')
    .toLowerCase()
    .replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

export type ReadSetting = <N extends SettingName>(name: N) => SettingValue<N>;

export interface SettingReader {
  /** Adds a faulty setting to `faults`, and reads it as if it were unset. */
  read: ReadSetting;
  readAll<Rows extends Partial<Record<SettingName, Setting>>>(rows: Rows): SettingsOf<Rows>;
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
  const readAll = (rows: Record<string, Setting>) => {
    const names = Object.keys(rows).filter((name) => !rows[name]!.elsewhere) as SettingName[];
    return Object.fromEntries(names.map((name) => [propertyOf(name), read(name)])) as never;
  };
  return { read: read as ReadSetting, readAll, faults, check: () => throwFaults(faults) };
}

function throwFaults(faults: Set<string>): void {
  if (faults.size > 0)
    throw new Error(`Faulty environment:\n${[...faults].map((fault) => `  ${fault}`).join('\n')}`);
}
