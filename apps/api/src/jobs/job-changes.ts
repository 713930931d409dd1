import { isDatabaseUnavailable, listJobsUnderWay, type Services, withTeamScope } from '@graft/service';
import type { JobWriter, WireJob } from './job-writer.ts';

/** Maximum number of a team's jobs in one poll. Changes of older jobs beyond that are reported only after newer jobs have ended. */
const maxJobs = 500;
/** Overlap of polls, so that a job that starts and ends between two polls is reported. */
const overlapMs = 10_000;

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
  /** Changes not yet sent, by job id. */
  waiting: Map<string, WireJob>;
  wake: () => void;
}

interface Watched {
  readers: Set<Reader>;
  /** Jobs of the last poll that were in progress, as sent. */
  known: Map<string, WireJob>;
  timer: NodeJS.Timeout | null;
}

export function createJobChanges(services: Services, { wireAll }: JobWriter, pollMs: number): JobChanges {
  const teams = new Map<string, Watched>();

  async function look(teamId: string, team: Watched): Promise<void> {
    try {
      const changed = await withTeamScope(teamId, () => changesOf(teamId, team));
      for (const reader of team.readers) {
        for (const job of changed) reader.waiting.set(job.id, job);
        if (changed.length > 0) reader.wake();
      }
    } catch (error) {
      if (!isDatabaseUnavailable(error)) services.log.error({ err: error }, 'jobs could not be read');
    }
    team.timer = team.readers.size > 0 ? setTimeout(look, pollMs, teamId, team) : null;
    if (team.timer === null) teams.delete(teamId);
  }

  async function changesOf(teamId: string, team: Watched): Promise<WireJob[]> {
    const since = new Date(Date.now() - pollMs - overlapMs);
    const ids = [...team.known.keys()];
    const jobs = await wireAll(await listJobsUnderWay(services, teamId, { ids, since, limit: maxJobs }));
    const changed = jobs.filter((job) => {
      const before = team.known.get(job.id);
      return before === undefined || lastingPart(before) !== lastingPart(job);
    });
    // A job that has ended is kept until it is too old to be read again.
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

const isOver = ({ status }: WireJob) => ['succeeded', 'failed', 'cancelled'].includes(status);

/** The job without fields that change with time alone. */
function lastingPart(job: WireJob): string {
  const { estimated_start, estimated_start_latest, estimated_finish, ...lasting } = job;
  return JSON.stringify(lasting);
}
