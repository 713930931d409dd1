import { asTeam, isDatabaseAway, listJobsUnderWay, type Services } from '@graft/service';
import type { JobWriter, WireJob } from './job-writer.ts';

/** Jobs of a team that one look takes; of more those that are older are not told of until these are over. */
const mostJobs = 500;
/** A job that begins and ends between two looks is still told of. */
const overlapMs = 10_000;

/** Where the streams of a team's jobs wait, all of a team for one look. */
export interface JobChanges {
  /**
   * The jobs of the team that are under way, then each one that has changed, with the changes that its reader was too slow for summed
   * up. Null after `ms` without any. Ends when `signal` fires.
   */
  follow(teamId: string, ms: number, signal: AbortSignal): AsyncGenerator<WireJob[] | null, void, void>;
  close(): void;
}

interface Reader {
  /** What it has not been told yet, by id. */
  waiting: Map<string, WireJob>;
  wake: () => void;
}

interface Watched {
  readers: Set<Reader>;
  /** The jobs of the last look that were under way, as they were told. */
  known: Map<string, WireJob>;
  timer: NodeJS.Timeout | null;
}

export function createJobChanges(services: Services, { wireAll }: JobWriter, pollMs: number): JobChanges {
  const teams = new Map<string, Watched>();

  async function look(teamId: string, team: Watched): Promise<void> {
    try {
      const changed = await asTeam(teamId, () => changesOf(teamId, team));
      for (const reader of team.readers) {
        for (const job of changed) reader.waiting.set(job.id, job);
        if (changed.length > 0) reader.wake();
      }
    } catch (error) {
      if (!isDatabaseAway(error)) services.log.error({ err: error }, 'jobs could not be read');
    }
    team.timer = team.readers.size > 0 ? setTimeout(look, pollMs, teamId, team) : null;
    if (team.timer === null) teams.delete(teamId);
  }

  async function changesOf(teamId: string, team: Watched): Promise<WireJob[]> {
    const since = new Date(Date.now() - pollMs - overlapMs);
    const ids = [...team.known.keys()];
    const jobs = await wireAll(await listJobsUnderWay(services, teamId, { ids, since, limit: mostJobs }));
    const changed = jobs.filter((job) => {
      const before = team.known.get(job.id);
      return before === undefined || lastingPart(before) !== lastingPart(job);
    });
    // What has just ended stays known until it is too old to be read anew.
    const isKept = (job: WireJob) => !isOver(job) || job.created_at * 1000 >= since.getTime();
    team.known = new Map(jobs.filter(isKept).map((job) => [job.id, job]));
    return changed;
  }

  return {
    async *follow(teamId, ms, signal) {
      let team = teams.get(teamId);
      if (!team) {
        team = { readers: new Set(), known: new Map(), timer: null };
        teams.set(teamId, team);
        team.timer = setTimeout(look, 0, teamId, team);
      }
      const reader: Reader = { waiting: new Map(team.known), wake: () => {} };
      team.readers.add(reader);
      try {
        while (!signal.aborted) {
          if (reader.waiting.size === 0) await nextChange(reader, ms, signal);
          if (signal.aborted) return;
          const jobs = [...reader.waiting.values()];
          reader.waiting.clear();
          yield jobs.length > 0 ? jobs : null;
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

/** Resolves when something waits, when `ms` have passed, or when the reader is gone. */
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

const isOver = ({ status }: WireJob) => ['succeeded', 'failed', 'cancelled'].includes(status);

/** Without what moves with the clock alone. */
function lastingPart(job: WireJob): string {
  const { estimated_start, estimated_start_latest, estimated_finish, ...lasting } = job;
  return JSON.stringify(lasting);
}
