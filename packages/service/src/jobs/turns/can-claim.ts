/** Decides which worker may claim which job: by capabilities, and by the outcome of earlier attempts. SQL over `jobs` and `workers`. */
import type { Database } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import type { JobRequirements } from '../job.ts';

/** Capabilities of a worker, for jobs that need the same numbers from every attempt. */
export interface WorkerCapabilities {
  device: 'cpu' | 'gpu';
  /** Threads of a job whose first attempt runs here; a job that requires more is not for this worker. */
  threads: number;
  /** Models of its GPUs as named by nvidia-smi: a job continues on the model that it started on. Absent in versions before that. */
  gpus?: string[];
  /** Why some of its GPUs accept no jobs, for the operator. Absent if all accept jobs. */
  gpuFaults?: string[];
  /** The first one is the meaning of "auto" on this worker. */
  precisions: [JobRequirements['precision'], ...JobRequirements['precision'][]];
  /** Kernels that its trainers found; jobs whose first attempt runs here use the first one. Absent: only stock. */
  kernels?: string[];
  /** Memory limit of one of its trainers. Absent if not known, as for a worker of an earlier version. */
  memoryBytes?: number;
  /** Floating-point operations per second of large matrix products, measured on the worker in some of its precisions. */
  flops?: Partial<Record<JobRequirements['precision'], number>>;
  /** It can train sweeps, as all workers since 1.0.0. Processes of the last version before still read it. */
  sweeps?: true;
  /** Mechanisms that isolate its trainers from the rest of the machine. Absent in versions that did not report them. */
  confinement?: string[];
}

/** Seconds after its last heartbeat for which a worker counts as live. */
const workerAliveSeconds = 60;

/** SQL over a row of `workers`: its last heartbeat is recent. */
export const lives = Prisma.sql`(workers.heartbeat_at > now() - make_interval(secs => ${workerAliveSeconds}))`;

/** SQL over a row of `workers`: it is live and accepts jobs. */
export const acceptsJobs = Prisma.sql`(NOT workers.draining AND workers.quarantined_at IS NULL AND workers.slots > 0
  AND ${lives})`;

/** SQL over rows of `workers` and `jobs`: the worker meets the job's requirements. */
export const canRun = Prisma.sql`graft_can_run(workers.capabilities, jobs.requirements, jobs.resolved_training)`;

/** How long a job waits for a worker other than the one that could not run it; after that the others count as busy. */
const preferOthersSeconds = 60;

/** SQL over a row of `jobs`: this worker may claim it. */
export function canClaim(worker: { id: string; capabilities: WorkerCapabilities | null }): Prisma.Sql {
  const { id } = worker;
  const capabilities = worker.capabilities && JSON.stringify(worker.capabilities);
  return Prisma.sql`(graft_can_run(${capabilities}::jsonb, jobs.requirements, jobs.resolved_training)
    AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = ${id} AND workers.quarantined_at IS NOT NULL)
    AND (jobs.avoid_worker IS DISTINCT FROM ${id}
      OR jobs.dispatched_at < now() - make_interval(secs => ${preferOthersSeconds})
      OR NOT EXISTS (SELECT 1 FROM workers WHERE workers.id <> ${id} AND ${acceptsJobs} AND ${canRun})))`;
}

/** Returns whether a live worker that accepts jobs can run this one. */
export async function hasWorker({ sql }: Pick<Database, 'sql'>, id: string): Promise<boolean> {
  const { rows } = await sql.query<{ has: boolean }>(
    Prisma.sql`SELECT EXISTS (
      SELECT 1 FROM workers JOIN jobs ON jobs.id = ${id} WHERE ${acceptsJobs} AND ${canRun}) AS has`,
  );
  return rows[0]?.has ?? false;
}
