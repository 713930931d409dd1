import { setTimeout as sleep } from 'node:timers/promises';
import { createPostgresBackend, type PostgresConnectionOptions, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { connectionOptions } from '../database/connection-options.ts';
import { connectOwner } from '../database/database.ts';
import { isRowLocked } from '../database/database-away.ts';
import { grantSchema } from '../database/grant-access.ts';
import type { PrismaClient } from '../generated/client.ts';
import { connectRedis, redisPrefix } from './connect-redis.ts';
import type { Dispatch, JobQueue } from './job-queue.ts';

interface QueueSettings {
  db: PrismaClient;
  databaseUrl: string;
  /** The same database, by a login that may make BullMQ's tables. */
  ownerUrl: string;
  /** That may use those tables. */
  role: string;
  /** Absent: BullMQ's Postgres backend in the schema `bullmq` of the same database. */
  redisUrl: string | undefined;
  log: Logger;
}

const queueName = 'jobs';

/** A ring that was answered is forgotten, whatever came of it: Postgres knows. */
const ringOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true };

/** Opens the doorbell. A Redis that is down now only makes `ring` reject until it is back. */
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
 * Brings BullMQ's tables up to date. It takes a lock on them whenever it looks: who waited for it too long asks again. A login that
 * may not make any leaves that to others; whether they have is seen when the queue is opened.
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
  // A ring that fails is rung again by the reconciler.
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
      // A consumer has nothing to reject: it waits for Redis to come back.
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

/** What is used of BullMQ, alike on both of its backends. */
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
      // BullMQ takes no id of digits alone and none with a colon. It ignores a second job of an id that is still waiting.
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
          // With the backend away BullMQ would wait for it for ever, unless told not to.
          const closed = worker.close(!isReachable());
          await Promise.all(running);
          // Everything that matters is done by now.
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

/** At most one call in half a minute gets through: a queue that is down fails several times a second. */
function rarely<T>(act: (value: T) => void): (value: T) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    if (performance.now() - last < 30_000) return;
    last = performance.now();
    act(value);
  };
}
