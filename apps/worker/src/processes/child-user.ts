import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { findUser } from '@graft/service/postgres';

/** The user that a child process runs as, when different from this process's user. */
export interface ChildUser {
  uid: number;
  gid: number;
}

// First id by default. Distributions assign lower ids to people, and containers ids above 100000.
const usualFirst = 61_001;

/**
 * The users of `count` children. GRAFT_TRAINER_USER is a range of ids such as `10001-10016`, one for each child (its group has the same
 * id); a name or `uid:gid`, one for all; or unset: a range of ids without a user on this machine, where this process may change users.
 * Null: children run as the user of this process. Throws an Error for the operator.
 */
export async function findChildUsers(
  setting: string | undefined,
  count: number,
): Promise<ChildUser[] | null> {
  if (!canChangeUsers()) {
    if (setting === undefined) return null;
    throw new Error(
      'GRAFT_TRAINER_USER is set, but only a worker that runs as root, or with the capabilities SETUID, SETGID, CHOWN, DAC_OVERRIDE and KILL, can start trainers as other users.',
    );
  }
  if (setting === undefined) {
    const taken = await idsOfUsers();
    const users = range(usualFirst, count);
    return users.some(({ uid }) => taken.has(uid)) ? null : users;
  }
  const [, first, last] = /^(\d+)-(\d+)$/.exec(setting) ?? [];
  if (first !== undefined) {
    const available = Number(last) - Number(first) + 1;
    if (available < count)
      throw new Error(
        `GRAFT_TRAINER_USER: ${setting} are ${Math.max(available, 0)} users, and this worker needs ${count}: one for its generator and one for each slot.`,
      );
    return checked(range(Number(first), count));
  }
  const [uid, gid] = setting.split(':').map(Number);
  const user =
    Number.isInteger(uid) && Number.isInteger(gid) ? { uid: uid!, gid: gid! } : await findUser(setting);
  if (!user) throw new Error(`GRAFT_TRAINER_USER: this machine has no user ${setting}.`);
  return checked(Array.from({ length: count }, () => user));
}

/** Number of children that GRAFT_TRAINER_USER has users for; Infinity where it names no range. */
export function availableUsers(setting: string | undefined): number {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(setting ?? '') ?? [];
  return first === undefined ? Number.POSITIVE_INFINITY : Number(last) - Number(first) + 1;
}

function range(first: number, count: number): ChildUser[] {
  return Array.from({ length: count }, (_, index) => ({ uid: first + index, gid: first + index }));
}

function checked(users: ChildUser[]): ChildUser[] {
  if (users.some(({ uid, gid }) => uid === 0 || gid === 0 || uid === process.getuid!()))
    throw new Error('GRAFT_TRAINER_USER must name users other than root and the one of the worker.');
  return users;
}

async function idsOfUsers(): Promise<Set<number>> {
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n');
  return new Set(lines.map((line) => Number(line.split(':')[2])));
}

/** Linux numbers of CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID. */
const neededCapabilities = [0n, 1n, 5n, 6n, 7n];

function canChangeUsers(): boolean {
  if (process.platform !== 'linux') return process.getuid?.() === 0;
  const [, effective = '0'] =
    /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const held = BigInt(`0x${effective}`);
  return neededCapabilities.every((bit) => (held >> bit) & 1n);
}
