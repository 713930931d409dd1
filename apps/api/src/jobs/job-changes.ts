import { createHash } from 'node:crypto';
import { isDatabaseUnavailable, withTeamScope } from '@graft/service/database';
import { listJobsUnderWay, readJobs } from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import { createFairQueue } from '../threads/fair-queue.ts';
import type { JobWriter, WireJob } from './job-writer.ts';

/** Maximum number of a team's jobs in one poll. Changes of older jobs beyond that are reported only after newer jobs have ended. */
const maxJobs = 500;
/** Overlap of polls, so that a job that starts and ends between two polls is reported. */
const overlapMs = 10_000;
/** Maximum number of jobs per query, because a job may have some 200 kB. */
const maxPerRead = 20;
/** Characters of jobs that a reader consumes at a time (at least one job), and that are cached for all readers of a team. */
const takenCharacters = 2 ** 16;
const keptCharacters = 2 ** 22;

/** Streams of changes to a team's jobs, with one poll for all streams of a team. */
export interface JobChanges {
  /**
   * Yields the team's jobs in progress, then each changed job. Changes that a slow reader has not consumed are merged. Yields null after
   * `ms` without changes. Ends when `signal` fires.
   */
  follow(teamId: string, ms: number, signal: AbortSignal): AsyncGenerator<WireJob[] | null, void, void>;
  close(): void;
}

interface Reader {
  /** Ids of jobs not yet sent. */
  waiting: Set<string>;
  wake: () => void;
}

/** A job of the last poll. */
interface KnownJob {
  /** Version of the job's row, and its place in the queue. */
  version: string;
  /** Version that was sent last; null: nothing yet. */
  digest: string | null;
}

interface CachedJob {
  job: WireJob;
  characters: number;
}

interface WatchedTeam {
  readers: Set<Reader>;
  known: Map<string, KnownJob>;
  /** The jobs read last, oldest first. */
  recent: Map<string, CachedJob>;
  timer: NodeJS.Timeout | null;
}

/**
 * Polls which jobs have changed, and reads only those, when a reader consumes them: all teams share the event loop and its memory, which
 * neither many jobs with long options nor readers that consume nothing may occupy.
 */
export function createJobChanges(
  services: Services,
  { wireAll, places }: JobWriter,
  pollMs: number,
): JobChanges {
  const teams = new Map<string, WatchedTeam>();
  const reads = createFairQueue({
    running: { perOwner: 1, all: 4 },
    // Limited by the number of open streams.
    waiting: { perOwner: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY },
  });

  async function poll(teamId: string, team: WatchedTeam): Promise<void> {
    try {
      const changed = await withTeamScope(teamId, () => changesOf(teamId, team));
      for (const reader of team.readers) {
        for (const id of changed) reader.waiting.add(id);
        if (changed.length > 0) reader.wake();
      }
    } catch (error) {
      if (!isDatabaseUnavailable(error)) services.log.error({ err: error }, 'jobs could not be read');
    }
    team.timer = team.readers.size > 0 ? setTimeout(poll, pollMs, teamId, team) : null;
    if (team.timer === null) teams.delete(teamId);
  }

  /** The ids of the jobs whose content has changed since the last poll. */
  async function changesOf(teamId: string, team: WatchedTeam): Promise<string[]> {
    const since = new Date(Date.now() - pollMs - overlapMs);
    const ids = [...team.known.keys()];
    const listed = await listJobsUnderWay(services, teamId, { ids, since, limit: maxJobs });
    const queue = await places(listed.filter(({ state }) => state === 'queued').map(({ id }) => id));
    const known = new Map<string, KnownJob>();
    const changed: string[] = [];
    // Written since the last poll, which may have been the heartbeat of a lease.
    const written: string[] = [];
    for (const { id, version: row, createdAt, state } of listed) {
      const before = team.known.get(id);
      const place = queue.get(id)?.position ?? '';
      const version = `${row} ${place}`;
      if (before === undefined || before.digest === null || !before.version.endsWith(` ${place}`)) {
        if (before?.version !== version) changed.push(id);
      } else if (before.version !== version) written.push(id);
      // A job that has ended is kept until it is too old to be read again.
      if (!overStates.includes(state) || createdAt >= since)
        known.set(id, { version, digest: before?.digest ?? null });
    }
    for (const id of [...changed, ...written]) team.recent.delete(id);
    for (let at = 0; at < written.length; at += maxPerRead) {
      const some = written.slice(at, at + maxPerRead);
      for (const job of await read(teamId, team, some)) {
        const before = team.known.get(job.id)!.digest;
        if (digestOf(job) !== before) changed.push(job.id);
      }
    }
    team.known = known;
    return changed;
  }

  /** Reads jobs and keeps the last of them for other readers. */
  async function read(teamId: string, team: WatchedTeam, ids: string[]): Promise<WireJob[]> {
    const jobs = await withTeamScope(
      teamId,
      async () => await wireAll(await readJobs(services, teamId, ids)),
    );
    for (const job of jobs) {
      team.recent.delete(job.id);
      team.recent.set(job.id, { job, characters: JSON.stringify(job).length });
    }
    let kept = [...team.recent.values()].reduce((sum, { characters }) => sum + characters, 0);
    // Those just read are the last, and are kept until a reader takes them.
    for (const [id, { characters }] of team.recent) {
      if (kept <= keptCharacters || team.recent.size <= jobs.length) break;
      team.recent.delete(id);
      kept -= characters;
    }
    return jobs;
  }

  /** Takes the next jobs of a reader. Those that were deleted meanwhile are left out. */
  async function take(teamId: string, team: WatchedTeam, reader: Reader): Promise<WireJob[]> {
    const taken: WireJob[] = [];
    const [first] = reader.waiting;
    if (first !== undefined && !team.recent.has(first)) {
      await reads.run(teamId, async () => {
        // Another reader may have read it meanwhile.
        if (team.recent.has(first)) return;
        const missing = [...reader.waiting].filter((id) => !team.recent.has(id)).slice(0, maxPerRead);
        const found = await read(teamId, team, missing);
        const there = new Set(found.map(({ id }) => id));
        for (const id of missing) if (!there.has(id)) reader.waiting.delete(id);
      });
    }
    let characters = 0;
    for (const id of reader.waiting) {
      const kept = team.recent.get(id);
      if (!kept || characters > takenCharacters) break;
      characters += kept.characters;
      reader.waiting.delete(id);
      const known = team.known.get(id);
      if (known) known.digest = digestOf(kept.job);
      taken.push(kept.job);
    }
    return taken;
  }

  return {
    async *follow(teamId, ms, signal) {
      let team = teams.get(teamId);
      if (!team) {
        team = { readers: new Set(), known: new Map(), recent: new Map(), timer: null };
        teams.set(teamId, team);
        team.timer = setTimeout(poll, 0, teamId, team);
      }
      const reader: Reader = { waiting: new Set(team.known.keys()), wake: () => {} };
      team.readers.add(reader);
      try {
        while (!signal.aborted) {
          if (reader.waiting.size === 0) {
            await nextChange(reader, ms, signal);
            if (signal.aborted) return;
            if (reader.waiting.size === 0) yield null;
          }
          const jobs = await take(teamId, team, reader).catch(async (error: unknown) => {
            if (!isDatabaseUnavailable(error)) throw error;
            await nextChange(reader, pollMs, signal);
            return [];
          });
          if (jobs.length > 0 && !signal.aborted) yield jobs;
        }
      } finally {
        team.readers.delete(reader);
      }
    },
    close() {
      for (const { timer } of teams.values()) if (timer) clearTimeout(timer);
    },
  };
}

/** Resolves when there are changes, after `ms`, or when the reader is gone. */
async function nextChange(reader: Reader, ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      reader.wake = () => {};
      resolve();
    };
    const timer = setTimeout(done, ms);
    reader.wake = done;
    signal.addEventListener('abort', done, { once: true });
  });
}

const overStates: readonly string[] = ['succeeded', 'failed', 'cancelled'];

/** Digest of the job without fields that change with time alone. */
function digestOf(job: WireJob): string {
  const { estimated_start, estimated_start_latest, estimated_finish, ...lasting } = job;
  return createHash('sha256').update(JSON.stringify(lasting)).digest('base64');
}
