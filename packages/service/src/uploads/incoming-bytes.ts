/** Bytes that arrive now: they count towards a team's quota of stored bytes from the moment that they take place on a disk. */
import type { Database, Transaction } from '../database/database.ts';
import { asTeam } from '../database/on-behalf-of.ts';
import { randomText } from '../ids.ts';
import { readQuota } from '../teams/team-quota.ts';
import type { IncomingBytes } from '../teams/within-quota.ts';
import { admitBytes, inQuota, QuotaExceeded } from '../teams/within-quota.ts';
import { changeUpload } from './upload-records.ts';

/** How long bytes count whose process has died. Seconds. */
const leaseSeconds = 120;

/** Nothing is counted for a team without the quota. */
const uncounted: IncomingBytes = {
  add: async () => true,
  settle: async () => {},
  end: async () => {},
};

/**
 * Counts the bytes of a file or an adapter while they arrive. `announced`: the fewest that can come; they count from now on, and
 * QuotaExceeded is thrown where they are too many. With 0 nothing counts before the first bytes: small files that arrive at the same
 * time would refuse each other for a byte.
 */
export async function receiveBytes(db: Database, teamId: string, announced: number): Promise<IncomingBytes> {
  if (!(await hasQuota(db, teamId))) return uncounted;
  const holder = { teamId, uploadId: null, announced };
  const incoming = openIncoming(db, holder, async (more, count) => {
    // Read again: the operator may have changed it.
    const quota = await readQuota(db, teamId);
    return await inQuota(db, teamId, true, async (tx) => {
      if (quota) await admitBytes(tx, teamId, quota, more);
      await count(tx);
      return true;
    });
  });
  try {
    if (announced > 0) await incoming.announce(announced);
    return incoming;
  } catch (error) {
    await incoming.end();
    throw error;
  }
}

/**
 * The same for a part of an upload, whose announced bytes count towards the quota already. `announced`: at least so many of the part
 * come.
 */
export async function receivePartBytes(
  db: Database,
  teamId: string,
  { uploadId, announced }: { uploadId: string; announced: number },
): Promise<IncomingBytes> {
  if (!(await hasQuota(db, teamId))) return uncounted;
  return openIncoming(db, { teamId, uploadId, announced }, async (more, count) => {
    const taken = await changeUpload(db, teamId, uploadId, async (tx, upload) => {
      const { _sum: others } = await tx.incomingBytes.aggregate({
        where: { teamId, uploadId, expiresAt: { gt: new Date() } },
        _sum: { bytes: true },
      });
      if (upload.remainingBytes - (others.bytes ?? 0n) < more) return false;
      await count(tx);
      return true;
    });
    return taken ?? false;
  });
}

async function hasQuota(db: Database, teamId: string): Promise<boolean> {
  return ((await readQuota(db, teamId))?.storedBytes ?? null) !== null;
}

/** `admit` runs `count` in its transaction where `more` bytes have a place. `announced`: 0 where the length is unknown. */
function openIncoming(
  { db, sql }: Database,
  { teamId, uploadId, announced }: { teamId: string; uploadId: string | null; announced: number },
  admit: (more: number, count: (tx: Transaction) => Promise<void>) => Promise<boolean>,
): IncomingBytes & { announce(bytes: number): Promise<boolean> } {
  const id = randomText(24);
  let arrived = 0;
  let counted = 0;
  const count = async (total: number) => {
    const insert = async (tx: Transaction) => {
      await tx.$executeRaw`
        INSERT INTO incoming_bytes (id, team_id, upload_id, bytes, expires_at)
        VALUES (${id}, ${teamId}, ${uploadId}, ${total}, now() + make_interval(secs => ${leaseSeconds}))
        ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes, expires_at = excluded.expires_at`;
    };
    // Bytes arrive in the turn of a socket, which is of no team.
    const taken = await asTeam(teamId, () => admit(total - counted, insert));
    if (taken) counted = total;
    return taken;
  };
  const renew = async () => {
    await sql.query(
      'UPDATE incoming_bytes SET expires_at = now() + make_interval(secs => $2) WHERE id = $1',
      [id, leaseSeconds],
    );
  };
  // A renewal that fails while Postgres is away is made up for by a later one.
  const renewal = setInterval(
    () => void asTeam(teamId, renew).catch(() => {}),
    (leaseSeconds * 1000) / 3,
  ).unref();
  return {
    announce: count,
    add: async (bytes) => {
      arrived += bytes;
      if (arrived <= counted) return true;
      const ahead = announced > 0 ? stepWithin(announced - arrived, arrived) : stepOf(arrived);
      if (ahead > 0 && (await count(arrived + ahead).catch(unlessQuota))) return true;
      return await count(arrived);
    },
    settle: async (tx) => void (await tx.incomingBytes.deleteMany({ where: { teamId, id } })),
    end: async () => {
      clearInterval(renewal);
      // The lease ends by itself while Postgres is away.
      await asTeam(teamId, () => db.incomingBytes.deleteMany({ where: { teamId, id } })).catch(() => {});
    },
  };
}

function unlessQuota(error: unknown): false {
  if (error instanceof QuotaExceeded) return false;
  throw error;
}

/**
 * What a stream of unknown length takes ahead, so that it need not ask for every piece: nothing while it is small, for what is taken
 * ahead is refused to others.
 */
function stepOf(total: number): number {
  return total < 8 * 2 ** 20 ? 0 : Math.ceil(total / 32);
}

/** The same of a stream of known length, of which `left` bytes are left: never more than these, which others then need not wait for. */
function stepWithin(left: number, total: number): number {
  return Math.max(0, Math.min(left, Math.max(2 ** 16, stepOf(total))));
}
