import { openSync, readFileSync, readSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { type MessagePort, type Transferable, Worker } from 'node:worker_threads';

/** A thread that answers calls. It starts at the first call, and again after a failure. */
export interface Thread<Call, Answer> {
  /**
   * Rejects with ThreadTimeout if there is no answer after `ms`, or after the thread has used `processorMs` for it, which also ends the
   * thread and all its pending calls; with ThreadEnded if the thread ends by itself; with Node's error if it has too little memory.
   * `processorMs` counts from the call, so no other must be pending; if the system does not report processor time, all time counts.
   */
  call(
    message: Call,
    options?: { ms?: number; processorMs?: number; transfer?: Transferable[] },
  ): Promise<Answer>;
  /** Milliseconds that a processor has worked for the thread; null: it is not running, or the system does not report them. */
  processorTime(): number | null;
  close(): Promise<void>;
}

export class ThreadTimeout extends Error {}

/** The thread ended by itself, though not for lack of memory. */
export class ThreadEnded extends Error {}

interface OpenCall {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

export interface ThreadOptions {
  /** An unused thread ends after this time to free its memory; null: never. Default one minute. */
  idleMs?: number | null;
  /** See `startWorker`. Default true. */
  yields?: boolean;
}

/** `module` is a TypeScript or JavaScript module that calls `answerCalls`; `heapMb` limits its memory. */
export function createThread<Call, Answer>(
  module: URL,
  heapMb: number,
  { idleMs = 60_000, yields = true }: ThreadOptions = {},
): Thread<Call, Answer> {
  const calls = new Map<number, OpenCall>();
  let worker: Worker | null = null;
  /** The system's id of the thread, once it has started. */
  let systemId: Int32Array = new Int32Array(1);
  let newest = 0;
  let idle: NodeJS.Timeout | undefined;

  async function end(reason: Error): Promise<void> {
    clearTimeout(idle);
    const ending = worker;
    worker = null;
    for (const { reject } of calls.values()) reject(reason);
    calls.clear();
    await ending?.terminate();
  }

  function open(): Worker {
    systemId = new Int32Array(new SharedArrayBuffer(4));
    const opened = startWorker(module, heapMb, { yields, systemId });
    const broke = (error: Error) => {
      if (worker === opened) void end(error);
    };
    opened.on('message', ({ id, answer, error }: { id: number; answer?: unknown; error?: Error }) => {
      const call = calls.get(id);
      calls.delete(id);
      if (error) call?.reject(error);
      else call?.resolve(answer);
    });
    opened.on('error', (cause: NodeJS.ErrnoException) =>
      broke(cause.code?.startsWith('ERR_WORKER_') ? cause : new ThreadEnded(cause.message, { cause })),
    );
    opened.on('exit', (code) => broke(new ThreadEnded(`A thread ended with ${code}`)));
    // Callers that wait have timers and sockets that keep the process alive.
    opened.unref();
    return opened;
  }

  const processorTime = () => (worker && systemId[0] !== 0 ? timeOf(`self/task/${systemId[0]}`) : null);

  return {
    async call(message, { ms = Number.POSITIVE_INFINITY, processorMs = ms, transfer = [] } = {}) {
      worker ??= open();
      const id = ++newest;
      clearTimeout(idle);
      let late: NodeJS.Timeout | undefined;
      const start = { at: performance.now(), used: processorTime() };
      /** Milliseconds until the call may be late. */
      const left = () => {
        const passed = performance.now() - start.at;
        const used = start.used === null ? passed : (processorTime() ?? passed) - start.used;
        return Math.min(ms - passed, processorMs - used);
      };
      try {
        return await new Promise<Answer>((resolve, reject) => {
          calls.set(id, { resolve: (answer) => resolve(answer as Answer), reject });
          // If this event loop was blocked, the answer may have arrived: timers run before messages, and setImmediate runs after them.
          const expire = () => setImmediate(() => calls.has(id) && wait());
          const wait = () => {
            const rest = left();
            if (rest <= 0) void end(new ThreadTimeout());
            else if (rest < Number.POSITIVE_INFINITY) late = setTimeout(expire, Math.ceil(rest));
          };
          wait();
          worker!.postMessage({ id, message }, transfer);
        });
      } finally {
        clearTimeout(late);
        clearTimeout(idle);
        if (calls.size === 0 && idleMs !== null)
          idle = setTimeout(() => void end(new Error('idle')), idleMs).unref();
      }
    },
    processorTime,
    close: async () => await end(new Error('The server is closing')),
  };
}

/** The file with this thread's times, which stays open, and a buffer for them; null: the system has none. */
let ownTimes: { file: number; buffer: Buffer } | null | undefined;

/**
 * Milliseconds that a processor has worked for this thread; without a system that reports them, the time. The work of others on the
 * machine does not count.
 */
export function ownProcessorTime(): number {
  if (ownTimes === undefined)
    try {
      ownTimes = { file: openSync('/proc/thread-self/schedstat', 'r'), buffer: Buffer.alloc(64) };
    } catch {
      ownTimes = null;
    }
  if (ownTimes === null) return Date.now();
  const { file, buffer } = ownTimes;
  return timeIn(buffer.toString('latin1', 0, readSync(file, buffer, 0, buffer.length, 0)));
}

/** `thread`: its folder in `/proc`. */
function timeOf(thread: string): number | null {
  try {
    return timeIn(readFileSync(`/proc/${thread}/schedstat`, 'utf8'));
  } catch {
    return null;
  }
}

/** The first number: nanoseconds on a processor. */
const timeIn = (times: string): number => Number(times.slice(0, times.indexOf(' '))) / 1e6;

/** The thread's side: answers each call, in order, or as each promise is fulfilled. */
export function answerCalls<Call, Answer>(
  port: MessagePort,
  answer: (call: Call) => Answer | Promise<Answer>,
): void {
  port.on('message', async ({ id, message }: { id: number; message: Call }) => {
    try {
      port.postMessage({ id, answer: await answer(message) });
    } catch (error) {
      port.postMessage({ id, error });
    }
  });
}

/**
 * Lowers a thread's priority: if processors are busy, the event loop, on which all teams' requests wait, takes precedence over the work
 * for one team's file or options. On Linux each thread has its own priority; elsewhere this would change the whole process. If the
 * process was started with a higher `nice` value, it stays: only root may raise a priority.
 */
const yieldFirst =
  process.platform === 'linux'
    ? `const os = require('node:os'); if (os.getPriority() < 5) os.setPriority(5);`
    : '';

const reportSystemId =
  process.platform === 'linux'
    ? `try { require('node:worker_threads').workerData.systemId[0] = Number(require('node:fs').readlinkSync('/proc/thread-self').split('/').pop()); } catch {}`
    : '';

/** The flag of the process would be the heap of each thread, too, whatever its own limit. The main thread keeps the heap that it began with. */
setFlagsFromString('--max-old-space-size=0');

/**
 * Young generation of a thread in MiB. Node gives a thread that reaches its limit 16 MiB more to end in; with a larger young generation, such as
 * V8's default of 48, what survives it may need more than that, which ends the whole process.
 */
const YOUNG_MB = 16;

/**
 * Starts a worker without keys, peppers and database URLs in its environment, because it reads users' data. On Node 20 it must install
 * the loader itself. `yields`: false for a worker that requests wait for. `systemId` receives the system's id of the thread on Linux.
 */
export function startWorker(
  module: URL,
  heapMb: number,
  { yields = true, systemId = null }: { yields?: boolean; systemId?: Int32Array | null } = {},
): Worker {
  const first = `${systemId ? reportSystemId : ''}${yields ? yieldFirst : ''}`;
  const options = {
    eval: true,
    env: {},
    workerData: { systemId },
    resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: YOUNG_MB },
  };
  const entry = `import(${JSON.stringify(module.href)})`;
  if (!module.pathname.endsWith('.ts')) return new Worker(`${first}${entry}`, options);
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const load = `import(${loader}).then(({ register }) => { register(); return ${entry}; })`;
  return new Worker(`${first}${load}`, options);
}
