/** Incoming bytes: they count towards a team's quota of stored bytes as soon as they occupy a disk. */
import type { Database, Transaction } from '../database/database.ts';
import { withTeamScope } from '../database/database-scope.ts';
import { randomText } from '../ids.ts';
import { readQuota } from '../teams/team-quota.ts';
import type { IncomingBytes } from '../teams/within-quota.ts';
import { checkStorageQuota, inQuota, limitsStorage, QuotaExceeded } from '../teams/within-quota.ts';
import { changeUpload } from './upload-records.ts';

/** Seconds for which bytes of a process that died still count. */
const leaseSeconds = 120;

/** For a team without the quota nothing is counted. */
const uncounted: IncomingBytes = { add: async () => true, settle: async () => {}, end: async () => {} };

/**
 * Counts the bytes of a file or an adapter while they arrive. `announced` is a lower bound of their number; these bytes count immediately,
 * and QuotaExceeded is thrown if there are too many. With 0 nothing counts before the first bytes: otherwise small concurrent uploads would
 * reject each other near the limit.
 */
export async function receiveBytes(db: Database, teamId: string, announced: number): Promise<IncomingBytes> {
  if (!(await hasQuota(db, teamId))) return uncounted;
  const holder = { teamId, uploadId: null, announced };
  const incoming = openIncoming(db, holder, async (more, count) => {
    // Read again, because the operator may have changed the quota.
    const quota = await readQuota(db, teamId);
    return await inQuota(db, teamId, true, async (tx) => {
      if (limitsStorage(quota)) await checkStorageQuota(tx, teamId, quota, { bytes: more });
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
 * As `receiveBytes`, for a part of an upload, whose announced bytes already count towards the quota. `announced`: a lower bound of the
 * part's bytes.
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
  return limitsStorage(await readQuota(db, teamId));
}

/** `admit` runs `count` in its transaction if there is space for `more` bytes. `announced`: 0 if the length is unknown. */
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
    // Bytes arrive in socket callbacks, which do not run for a team.
    const taken = await withTeamScope(teamId, () => admit(total - counted, insert));
    if (taken) counted = total;
    return taken;
  };
  const renew = async () => {
    await sql.query(
      'UPDATE incoming_bytes SET expires_at = now() + make_interval(secs => $2) WHERE id = $1',
      [id, leaseSeconds],
    );
  };
  // If a renewal fails while Postgres is unavailable, a later one succeeds.
  const renewal = setInterval(
    () => void withTeamScope(teamId, renew).catch(() => {}),
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
      // While Postgres is unavailable the lease simply expires.
      await withTeamScope(teamId, () => db.incomingBytes.deleteMany({ where: { teamId, id } })).catch(
        () => {},
      );
    },
  };
}

function unlessQuota(error: unknown): false {
  if (error instanceof QuotaExceeded) return false;
  throw error;
}

/**
 * Bytes that a stream of unknown length reserves in advance, so that it does not query for every chunk: none while it is small, because
 * reserved bytes are denied to others.
 */
function stepOf(total: number): number {
  return total < 8 * 2 ** 20 ? 0 : Math.ceil(total / 32);
}

/** Bytes that a stream of known length reserves in advance: at most the `left` bytes that it will still receive. */
function stepWithin(left: number, total: number): number {
  return Math.max(0, Math.min(left, Math.max(2 ** 16, stepOf(total))));
}
