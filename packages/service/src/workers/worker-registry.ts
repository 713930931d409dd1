import { proveWorker } from '../channel/worker-proof.ts';
import type { Database } from '../database/database.ts';
import type { WorkerCapabilities } from '../jobs/turns/can-claim.ts';
import { hasEnded, processIdentity, processNamespace } from '../process-identity.ts';
import type { Secrets } from '../secrets/secrets.ts';

export interface WorkerInfo {
  id: string;
  /** `https://host:port` of the internal server, or http for a server on the same machine; null while the worker does not serve. */
  address: string | null;
  /** TLS certificate of the internal server, PEM. Absent or null: the server has no TLS, or a certificate of the operator's authority. */
  certificate?: string | null;
  hostname: string;
  pid: number;
  /** Number of jobs that it trains concurrently. */
  slots: number;
  /** Undefined or null if not known: the worker may try any job. */
  capabilities?: WorkerCapabilities | null;
  /** Graft version, as formatted by `versionText`. */
  version?: string;
  /** `generationProtocol` of its Graft version. */
  protocol?: number;
}

/** Seconds since its last heartbeat after which a worker is no longer chosen to serve. */
const servingAliveSeconds = 30;

/**
 * Adds the worker, or replaces its row if it registers again; keeps a quarantine. Stores the identity of its process, so that
 * workers on the same machine notice when the process is dead.
 */
export async function registerWorker(
  db: Database & { secrets: Pick<Secrets, 'internalToken'> },
  worker: WorkerInfo,
): Promise<void> {
  const { id, address, certificate = null } = worker;
  await db.sql.query(
    `INSERT INTO workers (id, address, hostname, pid, slots, capabilities, process, process_namespace, version, protocol,
       certificate, proof)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     ON CONFLICT (id) DO UPDATE SET address = excluded.address, hostname = excluded.hostname, pid = excluded.pid,
       slots = excluded.slots, capabilities = excluded.capabilities, process = excluded.process,
       process_namespace = excluded.process_namespace, version = excluded.version, protocol = excluded.protocol,
       certificate = excluded.certificate, proof = excluded.proof, running = 0, bases = '{}', load = 0, draining = false, started_at = now(),
       heartbeat_at = now()`,
    [
      worker.id,
      worker.address,
      worker.hostname,
      worker.pid,
      worker.slots,
      worker.capabilities ? JSON.stringify(worker.capabilities) : null,
      processIdentity(worker.pid),
      processNamespace(),
      worker.version ?? null,
      worker.protocol ?? null,
      certificate,
      proveWorker(db.secrets.internalToken, { id, address, certificate }),
    ],
  );
}

export interface WorkerStatus {
  /** Jobs in training. */
  running: number;
  /** Catalogue ids of the base models loaded for serving. */
  bases: string[];
  /** Number of requests being answered. */
  load: number;
  draining: boolean;
  /** Default: those of the registration. */
  capabilities?: WorkerCapabilities;
  /** Number of jobs that it trains concurrently now, lower while a GPU is lost. Absent: the number of the registration. */
  slots?: number;
}

/** Updates the worker's row. False if the row is gone (another process deleted it): register again. */
export async function heartbeatWorker(db: Database, id: string, status: WorkerStatus): Promise<boolean> {
  const { rowCount } = await db.sql.query(
    `UPDATE workers SET heartbeat_at = now(), running = $2, bases = $3, load = $4, draining = $5,
       capabilities = coalesce($6::jsonb, capabilities), slots = coalesce($7, slots) WHERE id = $1`,
    [
      id,
      status.running,
      status.bases,
      status.load,
      status.draining,
      status.capabilities ? JSON.stringify(status.capabilities) : null,
      status.slots ?? null,
    ],
  );
  return rowCount === 1;
}

export async function removeWorker(db: Database, id: string): Promise<void> {
  await db.sql.query('DELETE FROM workers WHERE id = $1', [id]);
}

/** Removes workers that have been silent for an hour. */
export async function removeDeadWorkers(db: Database): Promise<void> {
  await db.sql.query("DELETE FROM workers WHERE heartbeat_at < now() - interval '1 hour'");
}

/** Finds workers of this machine whose processes ended without notice: their jobs need not wait until the leases run out. */
export async function findDeadLocalWorkers(db: Database): Promise<string[]> {
  const { rows } = await db.sql.query<{ id: string; process: string }>(
    'SELECT id, process FROM workers WHERE process_namespace = $1 AND process IS NOT NULL',
    [processNamespace()],
  );
  return rows.filter(({ process }) => hasEnded(process)).map(({ id }) => id);
}

/** Removes dead workers that no longer hold a job, so that they are not chosen to serve. */
export async function removeDeadLocalWorkers(db: Database, ids: string[]): Promise<void> {
  await db.sql.query(
    `DELETE FROM workers WHERE id = ANY($1)
       AND NOT EXISTS (SELECT 1 FROM jobs WHERE worker_id = workers.id AND state IN ('running', 'validating'))`,
    [ids],
  );
}

export interface PickedWorker {
  id: string;
  address: string;
  /** Null: its Graft is older than protocol numbers, and may not understand this version. */
  protocol: number | null;
  certificate: string | null;
  /** Null: its Graft is older than proofs. */
  proof: Uint8Array | null;
}

/**
 * Chooses the live worker to answer a request for a base model: not quarantined before quarantined, then with the model loaded, then
 * the least loaded. `except` lists workers that just refused. Null if there is none.
 */
export async function pickWorker(
  db: Database,
  baseModel: string,
  except: string[] = [],
): Promise<PickedWorker | null> {
  const { rows } = await db.sql.query<PickedWorker>(
    `SELECT id, address, protocol, certificate, proof FROM workers
     WHERE address IS NOT NULL AND NOT draining AND heartbeat_at > now() - make_interval(secs => $2)
       AND id <> ALL($3)
     ORDER BY (quarantined_at IS NOT NULL), ($1 = ANY(bases)) DESC, load, running, random() LIMIT 1`,
    [baseModel, servingAliveSeconds, except],
  );
  return rows[0] ?? null;
}
