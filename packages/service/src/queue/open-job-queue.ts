import { setTimeout as sleep } from 'node:timers/promises';
import { createPostgresBackend, type PostgresConnectionOptions, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { connectionOptions } from '../database/connection-options.ts';
import { connectOwner } from '../database/database.ts';
import { isRowLocked } from '../database/database-unavailable.ts';
import { grantSchema } from '../database/grant-access.ts';
import type { PrismaClient } from '../generated/client.ts';
import { connectRedis, redisPrefix } from './connect-redis.ts';
import type { Dispatch, JobQueue } from './job-queue.ts';

interface QueueSettings {
  db: PrismaClient;
  databaseUrl: string;
  /** URL of the same database with a login that may create BullMQ's tables. */
  ownerUrl: string;
  /** Role that may use these tables. */
  role: string;
  /** Default: BullMQ's Postgres backend, in the schema `bullmq` of the same database. */
  redisUrl: string | undefined;
  log: Logger;
}

const queueName = 'jobs';

/** Processed rings are removed, whatever their outcome: Postgres holds the state. */
const ringOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true };

/** Opens the queue. If Redis is down now, `ring` rejects until Redis is back. */
export async function openJobQueue(settings: QueueSettings): Promise<JobQueue> {
  const warn = rarely((error: Error) => settings.log.warn({ err: error }, 'the queue is in trouble'));
  return settings.redisUrl === undefined
    ? await openOnPostgres(settings, warn)
    : await openOnRedis(settings, warn);
}

async function openOnPostgres(
  { databaseUrl, ownerUrl, role, log }: QueueSettings,
  warn: (error: Error) => void,
): Promise<JobQueue> {
  const open = (connection: PostgresConnectionOptions) => {
    const queue = new Queue(queueName, { connection }, createPostgresBackend);
    queue.on('error', warn);
    return queue;
  };
  await migrateQueue(ownerUrl, log, open);
  const defaults = connectionOptions(databaseUrl, 'graft-queue');
  const connection = (max: number) => ({
    ...defaults,
    options: `${defaults.options} -c role=${role}`,
    connectionTimeoutMillis: 2_000,
    max,
  });
  const queue = open(connection(2));
  await queue.waitUntilReady();
  return assemble(log, warn, {
    backend: 'postgres',
    queue,
    createWorker: (processor, concurrency) => ({
      worker: new Worker(
        queueName,
        processor,
        { connection: connection(4), concurrency },
        createPostgresBackend,
      ),
      isReachable: () => true,
    }),
    closeConnections: () => {},
  });
}

/**
 * Migrates BullMQ's tables. BullMQ locks them even to check them, so this retries if it waits for the lock too long. A login that may
 * not create tables leaves that to other processes; opening the queue shows whether they have done it.
 */
async function migrateQueue(
  ownerUrl: string,
  log: Logger,
  open: (connection: PostgresConnectionOptions) => {
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  },
): Promise<void> {
  const settings = { ...connectionOptions(ownerUrl, 'graft-queue'), connectionTimeoutMillis: 2_000 };
  for (const end = performance.now() + 30_000; ; await sleep(200)) {
    const queue = open({ ...settings, migrate: true, max: 1 });
    try {
      await queue.waitUntilReady();
      break;
    } catch (error) {
      if ((error as { code?: string }).code === '42501') return;
      if (!isRowLocked(error) || performance.now() > end) throw error;
    } finally {
      await queue.close().catch(() => {});
    }
  }
  const owner = connectOwner(ownerUrl, log);
  try {
    await grantSchema(owner, 'bullmq');
  } finally {
    await owner.sql.end();
  }
}

async function openOnRedis(
  { db, redisUrl, log }: QueueSettings,
  warn: (error: Error) => void,
): Promise<JobQueue> {
  const prefix = await redisPrefix({ db });
  // The reconciler repeats a ring that fails.
  const producer = connectRedis(redisUrl!, warn);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, 2_000);
    producer.once('ready', () => {
      clearTimeout(timer);
      resolve();
    });
    producer.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  const queue = new Queue(queueName, { connection: producer, prefix, skipWaitingForReady: true });
  queue.on('error', warn);
  const consumers: Redis[] = [];
  return assemble(log, warn, {
    backend: 'redis',
    queue,
    createWorker: (processor, concurrency) => {
      // A consumer has no command to reject: it waits for Redis to come back.
      const connection = new Redis(redisUrl!, {
        protocol: 2,
        maxRetriesPerRequest: null,
        connectTimeout: 2_000,
      });
      connection.on('error', warn);
      consumers.push(connection);
      return {
        worker: new Worker(queueName, processor, { connection, prefix, concurrency }),
        isReachable: () => connection.status === 'ready',
      };
    },
    closeConnections: () => {
      for (const connection of [...consumers, producer]) connection.disconnect();
    },
  });
}

/** The part of BullMQ that both of its backends share. */
interface Backend {
  backend: JobQueue['backend'];
  queue: {
    add(name: string, data: Dispatch, options: object): Promise<unknown>;
    getWaitingCount(): Promise<number>;
    close(): Promise<void>;
  };
  createWorker(
    processor: (job: { data: Dispatch }) => Promise<void>,
    concurrency: number,
  ): {
    worker: {
      on(event: 'error', listener: (error: Error) => void): unknown;
      close(force: boolean): Promise<void>;
    };
    isReachable(): boolean;
  };
  closeConnections(): void;
}

function assemble(
  log: Logger,
  warn: (error: Error) => void,
  { backend, queue, createWorker, closeConnections }: Backend,
): JobQueue {
  return {
    backend,
    ring: async (lease) => {
      // BullMQ accepts no id that consists only of digits or contains a colon. It ignores a second job with an id that still waits.
      const { id, epoch } = lease;
      await withinSeconds(5, queue.add('job', { id, epoch }, { ...ringOptions, jobId: `${id}_${epoch}` }));
    },
    consume: async (handler, { concurrency }) => {
      const closing = new AbortController();
      const running = new Set<Promise<void>>();
      const { worker, isReachable } = createWorker(async ({ data }) => {
        const work = handler(data, closing.signal).catch((error: unknown) => {
          log.error({ err: error, jobId: data.id, leaseEpoch: data.epoch }, 'handling a ring failed');
        });
        running.add(work);
        await work.finally(() => running.delete(work));
      }, concurrency);
      worker.on('error', warn);
      return {
        close: async () => {
          closing.abort();
          // If the backend is unavailable, BullMQ would wait for it for ever, unless forced to close.
          const closed = worker.close(!isReachable());
          await Promise.all(running);
          // No work depends on closing the BullMQ worker.
          await withinSeconds(2, closed).catch(warn);
        },
      };
    },
    depth: async () => await withinSeconds(5, queue.getWaitingCount()),
    close: async () => {
      await withinSeconds(2, queue.close()).catch(warn);
      closeConnections();
    },
  };
}

async function withinSeconds<T>(seconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the queue did not answer within ${seconds} s`)),
      seconds * 1000,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Limits calls to one in 30 seconds: a queue that is down fails several times a second. */
function rarely<T>(act: (value: T) => void): (value: T) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    if (performance.now() - last < 30_000) return;
    last = performance.now();
    act(value);
  };
}
