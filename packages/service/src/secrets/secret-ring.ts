/**
 * Vocabulary
 * - ring: the versions of one secret that are valid at the same time. What is stored names the version that made it.
 * - current: the version that new rows use, the first of a ring. The others verify and open what they have made.
 */
import { GraftError } from '@graft/peft-core/config';

/** What a setting or file may hold at most: an old version is to be dropped, not kept. */
const mostVersions = 8;
/** How long a process may use the versions that it has read, in milliseconds. */
const freshMs = 5_000;

export interface SecretVersion {
  version: number;
  secret: string;
}

/**
 * Reads `2:secret,1:older`, current first, or a secret alone, which is version 1. Null: neither. A secret may hold any
 * character but a comma, and alone any.
 */
export function parseRing(text: string): SecretVersion[] | null {
  if (!/^[0-9]+:/.test(text)) return text.length >= 16 ? [{ version: 1, secret: text }] : null;
  const versions = text.split(',').map((entry) => {
    const match = /^ *([1-9][0-9]{0,5}):(\S{16,}) *$/.exec(entry);
    return match && { version: Number(match[1]), secret: match[2]! };
  });
  const known = versions.filter((entry) => entry !== null);
  const distinct = new Set(known.map(({ version }) => version)).size;
  return known.length === versions.length && distinct === known.length && known.length <= mostVersions
    ? known
    : null;
}

export function writeRing(versions: readonly SecretVersion[]): string {
  return versions.map(({ version, secret }) => `${version}:${secret}`).join(',');
}

/** What a process throws that meets what a newer setting than its own has made. */
export function outdated(lacking: string): GraftError {
  return new GraftError(
    'secrets_outdated',
    `This process does not have ${lacking}: the operator must restart it with the current setting.`,
    { param: null },
  );
}

/** The versions of one secret. One that is read from a file follows its changes. */
export class SecretRing {
  readonly name: 'pepper' | 'sealing';
  readonly setting: string;
  #versions: readonly SecretVersion[];
  readonly #read: (() => Promise<readonly SecretVersion[] | null>) | null;
  #readAt = performance.now();
  #reading: Promise<void> | null = null;

  /** `read`: reads the versions again, or null if it cannot. Absent where they come from the environment and cannot change. */
  constructor(
    name: 'pepper' | 'sealing',
    versions: readonly SecretVersion[],
    read: (() => Promise<readonly SecretVersion[] | null>) | null = null,
  ) {
    this.name = name;
    this.setting = name === 'pepper' ? 'GRAFT_PEPPER' : 'GRAFT_SEALING_KEY';
    this.#versions = versions;
    this.#read = read;
  }

  /** Whether a file holds it, which `graft admin secrets rotate` can change. */
  get isFile(): boolean {
    return this.#read !== null;
  }

  /** Current first. */
  get versions(): readonly SecretVersion[] {
    // A process that is not asked for another version would never see that there is one.
    if (performance.now() - this.#readAt > freshMs) void this.reread().catch(() => {});
    return this.#versions;
  }

  get current(): SecretVersion {
    return this.versions[0]!;
  }

  /** As the setting takes it. */
  get text(): string {
    return writeRing(this.#versions);
  }

  /**
   * Null: this version was dropped. Throws GraftError `secrets_outdated` for one that is newer than any here: another process has
   * made it, by a setting that this one was not started with.
   */
  async find(version: number): Promise<string | null> {
    const known = () => this.#versions.find((entry) => entry.version === version)?.secret;
    const found = known();
    if (found !== undefined) return found;
    // What cannot be read says nothing new.
    await this.reread().catch(() => {});
    const read = known();
    if (read !== undefined) return read;
    if (version < Math.max(...this.#versions.map((entry) => entry.version))) return null;
    throw outdated(`version ${version} of ${this.setting}`);
  }

  /** Of those who ask at one time one reads. */
  async reread(): Promise<void> {
    if (!this.#read) return;
    this.#reading ??= this.#read()
      .then((versions) => {
        if (versions) this.#versions = versions;
      })
      .finally(() => {
        this.#readAt = performance.now();
        this.#reading = null;
      });
    await this.#reading;
  }
}
