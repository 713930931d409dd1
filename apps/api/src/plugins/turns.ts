import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { createFairQueue, type FairQueue } from '../threads/fair-queue.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Whose request is worked on next. */
    turns: FairQueue;
    /** Waits until a body of `bytes` may be parsed; where turns are taken. */
    turnToParse?(request: FastifyRequest, bytes: number): Promise<void>;
  }
  interface FastifyReply {
    /** Lets others go on: what follows waits for the client or a worker, not for Postgres. */
    endTurn(): void;
    /**
     * Runs work that may wait for something other than Postgres: a thread, a fetch, a disk. If it does, the turn ends meanwhile, and
     * the request takes another one when the work is done; if the work fails, it takes none.
     */
    withoutTurn<T>(work: () => Promise<T>): Promise<T>;
  }
}

/**
 * Requests worked on at once: somewhat more than there are connections to Postgres, which are handed out in the order in
 * which they are asked for, and of one team fewer than those, so that its requests wait for each other and not others for them.
 */
const running = { perOwner: 8, all: 24 };
/** Requests that wait are bounded by those that may be open. */
const waiting = { perOwner: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY };

/** Parsing and checking what is larger than this holds the event loop for milliseconds: of one team one after the other. */
const largeBytes = 4096;
const parsed = { perOwner: 1, all: 24 };

/**
 * A team that sends a thousand requests at once takes turns with all others. From a body's arrival to its answer's first byte. A
 * request that waits for anything but Postgres must end its turn first (`endTurn`, `withoutTurn`): three teams' waiting requests
 * hold all turns, and a request that asks the API itself would wait for a turn that it holds.
 */
export const turns = fp(async (app) => {
  const queue = createFairQueue({ running, waiting });
  const largeBodies = createFairQueue({ running: parsed, waiting });
  const ends = new WeakMap<FastifyReply, () => void>();
  const parseEnds = new WeakMap<FastifyRequest, () => void>();
  app.decorate('turns', queue);
  app.decorate('turnToParse', async (request: FastifyRequest, bytes: number) => {
    if (bytes <= largeBytes) return;
    const { socket } = request;
    const turn = await largeBodies.turn(turnOf(request));
    // Ends with the answer, which a client that has hung up does not get.
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
    // What has arrived meanwhile, of others, comes first.
    await new Promise(setImmediate);
  });

  async function take(reply: FastifyReply): Promise<void> {
    const end = await queue.turn(turnOf(reply.request));
    if (reply.raw.destroyed) {
      end();
      throw hungUp();
    }
    if (!ends.has(reply)) reply.raw.once('close', () => reply.endTurn());
    ends.set(reply, end);
  }
  app.decorateReply('endTurn', function (this: FastifyReply) {
    parseEnds.get(this.request)?.();
    ends.get(this)?.();
  });
  app.decorateReply('withoutTurn', async function <
    T,
  >(this: FastifyReply, work: () => Promise<T>): Promise<T> {
    const working = work();
    const isDone = working.then(() => true);
    if (await Promise.race([isDone, new Promise((resolve) => setImmediate(resolve))])) return await working;
    this.endTurn();
    const result = await working;
    await take(this);
    return result;
  });
  app.addHook('preHandler', async (request, reply) => {
    // An upload's body is read by its route, which waits for the client most of the time.
    if (request.routeOptions.config.longBody) return;
    // Without a key, everybody who has none takes one turn after the other.
    await take(reply);
  });
  app.addHook('onSend', async (_request, reply) => reply.endTurn());
});

function hungUp(): ApiError {
  return new ApiError('bad_request', 'The client hung up before its turn.');
}

function turnOf({ caller, operator, session }: FastifyRequest): string {
  return caller?.teamId ?? operator?.keyId ?? session?.personId ?? 'nobody';
}
