import { withReaderConnections, withWaits } from '@graft/service/database';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { createFairQueue } from '../threads/fair-queue.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Runs a check of who calls when it is that caller's turn, among the requests that only read. */
    turnToVerify<T>(caller: string, verify: () => Promise<T>): Promise<T>;
    /** Waits until a body of `bytes` may be parsed. Defined only where requests take turns. */
    turnToParse?(request: FastifyRequest, bytes: number): Promise<void>;
  }
  interface FastifyReply {
    /** Ends the turn, since the rest of the request waits for the client or a worker, not for Postgres. */
    endTurn(): void;
    /**
     * Runs work that may wait for something other than Postgres: a thread, a download, a disk. If it waits, the turn ends, and the
     * request takes another turn when the work is done, unless it had none. If the work fails, it takes none.
     */
    withoutTurn<T>(work: () => Promise<T>): Promise<T>;
    /** Runs work of an upload, which has no turn while its body arrives, in a turn of its team. */
    inTurn<T>(work: () => Promise<T>): Promise<T>;
  }
}

/**
 * Maximum requests in progress: somewhat more than there are connections to Postgres, which are assigned in the order of the requests for
 * them. Fewer per team than there are connections, so that a team's requests wait for each other instead of delaying other teams. Requests
 * that write may wait for rows that others have locked, so they have their own turns. Each is a dozen queries, and a query of another team
 * waits for one of each request in progress; two per team write as many rows a second as four.
 */
const reading = { perOwner: 8, all: 24 };
const writing = { perOwner: 2, all: 16 };
/** Not limited here: waiting requests are limited as open requests. */
const waiting = { perOwner: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY };
/**
 * Maximum milliseconds that a request waits for a turn before it has cost anything; then it is refused with 503. A client's own time limit
 * is rarely shorter: a request that waits longer would be answered to nobody.
 */
const withinMs = 5_000;

/** Parsing and checking a larger body blocks the event loop for milliseconds, so a team's bodies are parsed one after another. */
const largeBytes = 4096;
const parsed = { perOwner: 1, all: 24 };

/**
 * Lets teams take turns, so that a team with a thousand concurrent requests does not delay others. A turn lasts from a body's arrival to
 * the first byte of the response. A request that waits for anything but Postgres must end its turn first (`endTurn`, `withoutTurn`):
 * waiting requests of three teams could hold all turns, and a request that calls the API itself would wait for its own turn. Requests that
 * only read never wait for a turn of one that writes, nor for its connection (`readsApart`).
 */
export const turns = fp(async (app) => {
  const readers = createFairQueue({ running: reading, waiting });
  const writers = createFairQueue({ running: writing, waiting });
  const largeBodies = createFairQueue({ running: parsed, waiting });
  /** Replies of which the end is heard, and the ends of their turns. */
  const heard = new WeakSet<FastifyReply>();
  const ends = new WeakMap<FastifyReply, () => void>();
  const parseEnds = new WeakMap<FastifyRequest, () => void>();
  app.decorate('turnToVerify', async (caller, verify) =>
    readers.run(caller, async () => await withReaderConnections(verify), withinMs),
  );
  app.decorate('turnToParse', async (request: FastifyRequest, bytes: number) => {
    if (bytes <= largeBytes) return;
    const { socket } = request;
    const turn = await largeBodies.turn(turnOf(request), withinMs);
    // The turn ends with the response, which a disconnected client does not get.
    if (socket.destroyed) {
      turn();
      throw hungUp();
    }
    const end = () => {
      socket.off('close', end);
      turn();
    };
    socket.once('close', end);
    parseEnds.set(request, end);
    // Lets other requests that have arrived meanwhile go first.
    await new Promise(setImmediate);
  });

  async function take(reply: FastifyReply, ms?: number): Promise<void> {
    const queue = onlyReads(reply.request) ? readers : writers;
    const end = await queue.turn(turnOf(reply.request), ms);
    if (reply.raw.destroyed) {
      end();
      throw hungUp();
    }
    if (!heard.has(reply)) reply.raw.once('close', () => reply.endTurn());
    heard.add(reply);
    ends.set(reply, end);
  }
  app.decorateReply('endTurn', function (this: FastifyReply) {
    parseEnds.get(this.request)?.();
    ends.get(this)?.();
    ends.delete(this);
  });
  app.decorateReply('withoutTurn', async function <
    T,
  >(this: FastifyReply, work: () => Promise<T>): Promise<T> {
    const working = work();
    const isDone = working.then(() => true);
    if (await Promise.race([isDone, new Promise((resolve) => setImmediate(resolve))])) return await working;
    const hadTurn = ends.has(this);
    this.endTurn();
    const result = await working;
    if (hadTurn) await take(this);
    return result;
  });
  const outsideTurn =
    (reply: FastifyReply) =>
    <T>(wait: () => Promise<T>) =>
      reply.withoutTurn(wait);
  app.decorateReply('inTurn', async function <T>(this: FastifyReply, work: () => Promise<T>): Promise<T> {
    // Without a limit: what has been received is not refused.
    await take(this);
    try {
      return await withWaits(outsideTurn(this), work);
    } finally {
      this.endTurn();
    }
  });
  // With a callback, since the context set in an async hook ends with it.
  app.addHook('preHandler', (request, reply, done) => {
    // An upload's body is read by its route, which mostly waits for the client: see `inTurn`.
    if (request.routeOptions.config.longBody) return done();
    // All requests without a key share the turns of one owner.
    take(reply, withinMs).then(() => withWaits(outsideTurn(reply), done), done);
  });
  app.addHook('onSend', async (_request, reply) => reply.endTurn());
});

/** Gives requests that only read the connections to Postgres that are kept for them. */
export const readsApart = fp(async (app) => {
  // With a callback, since the context set in an async hook ends with it.
  app.addHook('onRequest', (request, _reply, done) =>
    onlyReads(request) ? withReaderConnections(done) : done(),
  );
});

function onlyReads({ method }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD';
}

function hungUp(): ApiError {
  return new ApiError('bad_request', 'The client hung up before its turn.');
}

function turnOf({ caller, operator, session }: FastifyRequest): string {
  return caller?.teamId ?? operator?.keyId ?? session?.personId ?? 'nobody';
}
