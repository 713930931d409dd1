/** Which worker may take which job: by what it can do, and by what came of it before. SQL over `jobs` and `workers`. */
import type { Database } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import type { JobRequirements } from '../job.ts';

/** What a worker can do for jobs that need the same numbers from every attempt. */
export interface WorkerCapabilities {
  device: 'cpu' | 'gpu';
  /** A job that is first run here computes with so many; one that needs more is not for this worker. */
  threads: number;
  /** Models of its GPUs, as nvidia-smi names them: a job goes on with the one that it was begun on. Absent: of a version before that. */
  gpus?: string[];
  /** Why cards of it take no jobs, for the operator. Absent: all do. */
  gpuFaults?: string[];
  /** The first is what "auto" means here. */
  precisions: [JobRequirements['precision'], ...JobRequirements['precision'][]];
  /** What layers can be made of, as its trainers found; what jobs that are first run here take comes first. Absent: stock alone. */
  kernels?: string[];
  /** What one of its trainers may hold at most. Absent: not known, as of a worker of an earlier version. */
  memoryBytes?: number;
  /** Floating-point operations in a second of large matrix products, as measured there in some of its precisions. */
  flops?: Partial<Record<JobRequirements['precision'], number>>;
  /** It trains sweeps. Absent: of a version before them, which does not get any (a trigger of `jobs`). */
  sweeps?: true;
  /** What keeps its trainers from the rest of the machine. Absent: of a version before it was known. */
  confinement?: string[];
}

/** Seconds after its last heartbeat during which a worker counts as alive. */
const workerAliveSeconds = 60;

/** SQL over a row of `workers`: it has given a sign of life of late. */
export const lives = Prisma.sql`(workers.heartbeat_at > now() - make_interval(secs => ${workerAliveSeconds}))`;

/** SQL over a row of `workers`: it lives and takes jobs. */
export const takesJobs = Prisma.sql`(NOT workers.draining AND workers.quarantined_at IS NULL AND workers.slots > 0
  AND ${lives})`;

/** SQL over rows of `workers` and `jobs`: the worker can run the job as its requirements say. */
export const canRun = Prisma.sql`graft_can_run(workers.capabilities, jobs.requirements, jobs.resolved_training)`;

/** So long a job waits for another worker than the one that could not run it; then the others are busy. */
const preferOthersSeconds = 60;

/** SQL over a row of `jobs`: this worker may take it. */
export function mayTake(worker: { id: string; capabilities: WorkerCapabilities | null }): Prisma.Sql {
  const { id } = worker;
  const capabilities = worker.capabilities && JSON.stringify(worker.capabilities);
  return Prisma.sql`(graft_can_run(${capabilities}::jsonb, jobs.requirements, jobs.resolved_training)
    AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = ${id} AND workers.quarantined_at IS NOT NULL)
    AND (jobs.avoid_worker IS DISTINCT FROM ${id}
      OR jobs.dispatched_at < now() - make_interval(secs => ${preferOthersSeconds})
      OR NOT EXISTS (SELECT 1 FROM workers WHERE workers.id <> ${id} AND ${takesJobs} AND ${canRun})))`;
}

/** Whether a living worker that takes jobs can run this one. */
export async function hasWorker({ sql }: Pick<Database, 'sql'>, id: string): Promise<boolean> {
  const { rows } = await sql.query<{ has: boolean }>(
    Prisma.sql`SELECT EXISTS (
      SELECT 1 FROM workers JOIN jobs ON jobs.id = ${id} WHERE ${takesJobs} AND ${canRun}) AS has`,
  );
  return rows[0]?.has ?? false;
}
