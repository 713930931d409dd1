/**
 * Vocabulary
 * - ring: the versions of one secret that are valid at the same time. Stored values name the version that made them.
 * - current: the version that new rows use, the first of a ring. The other versions only verify and open what they made.
 */
import { GraftError } from '@graft/peft-core/config';

/** Maximum number of versions in a setting or file: old versions should be dropped. */
const maxVersions = 8;
/** Milliseconds for which a process uses the versions that it has read. */
const freshMs = 5_000;

export interface SecretVersion {
  version: number;
  secret: string;
}

/**
 * Parses `2:secret,1:older`, current version first, or a single secret, which is version 1. Null: invalid. A secret in a list must not
 * contain a comma; a single one may contain any character.
 */
export function parseRing(text: string): SecretVersion[] | null {
  if (!/^[0-9]+:/.test(text)) return text.length >= 16 ? [{ version: 1, secret: text }] : null;
  const versions = text.split(',').map((entry) => {
    const match = /^ *([1-9][0-9]{0,5}):(\S{16,}) *$/.exec(entry);
    return match && { version: Number(match[1]), secret: match[2]! };
  });
  const known = versions.filter((entry) => entry !== null);
  const distinct = new Set(known.map(({ version }) => version)).size;
  return known.length === versions.length && distinct === known.length && known.length <= maxVersions
    ? known
    : null;
}

export function writeRing(versions: readonly SecretVersion[]): string {
  return versions.map(({ version, secret }) => `${version}:${secret}`).join(',');
}

/** Returns the error for a stored value that needs a newer setting than this process has. */
export function outdated(lacking: string): GraftError {
  return new GraftError(
    'secrets_outdated',
    `This process does not have ${lacking}: the operator must restart it with the current setting.`,
    { param: null },
  );
}

/** The versions of one secret. A ring that is read from a file follows its changes. */
export class SecretRing {
  readonly name: 'pepper' | 'sealing';
  readonly setting: string;
  #versions: readonly SecretVersion[];
  readonly #read: (() => Promise<readonly SecretVersion[] | null>) | null;
  #readAt = performance.now();
  #reading: Promise<void> | null = null;

  /** `read` rereads the versions, or returns null if it cannot. Null for versions from the environment, which cannot change. */
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

  /** True where the ring is stored in files, which `graft admin secrets rotate` can change. */
  get isFile(): boolean {
    return this.#read !== null;
  }

  /** Versions, current first. */
  get versions(): readonly SecretVersion[] {
    // Rereads in the background: otherwise a process that only uses the current version would never notice a newer one.
    if (performance.now() - this.#readAt > freshMs) void this.reread().catch(() => {});
    return this.#versions;
  }

  get current(): SecretVersion {
    return this.versions[0]!;
  }

  /** The versions in the format of the setting. */
  get text(): string {
    return writeRing(this.#versions);
  }

  /**
   * Returns the secret of a version. Null: this version was dropped. Throws GraftError `secrets_outdated` for a version newer than any
   * here: another process made it with a setting that this process was not started with.
   */
  async find(version: number): Promise<string | null> {
    const known = () => this.#versions.find((entry) => entry.version === version)?.secret;
    const found = known();
    if (found !== undefined) return found;
    // If reading fails, the known versions remain.
    await this.reread().catch(() => {});
    const read = known();
    if (read !== undefined) return read;
    if (version < Math.max(...this.#versions.map((entry) => entry.version))) return null;
    throw outdated(`version ${version} of ${this.setting}`);
  }

  /** Rereads the versions; concurrent calls share one read. */
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
