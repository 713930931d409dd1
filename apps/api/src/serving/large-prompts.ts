import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { createFairQueue } from '../threads/fair-queue.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Requests a response from workers to a prompt of `characters` characters. A team's large prompts are sent one after another, each when
     * the previous response has started or was refused. Throws if the client has disconnected by then.
     */
    askWorkers<T>(
      prompt: { teamId: string; characters: number; signal: AbortSignal },
      ask: () => Promise<T>,
    ): Promise<T>;
  }
}

/**
 * Characters; a context of 32,000 tokens has about as many. Sending a larger prompt to a worker, and parsing it there, blocks both event
 * loops for milliseconds.
 */
const largeCharacters = 128 * 1024;

/** Cannot deadlock: a turn only waits for a worker, which waits for no turn here. */
export const largePrompts = fp(async (app) => {
  const queue = createFairQueue({
    running: { perOwner: 1, all: Number.POSITIVE_INFINITY },
    // Limited by the number of open completions.
    waiting: { perOwner: Number.POSITIVE_INFINITY, all: Number.POSITIVE_INFINITY },
  });
  app.decorate('askWorkers', async ({ teamId, characters, signal }, ask) => {
    if (characters <= largeCharacters) return await ask();
    return await queue.run(teamId, async () => {
      if (signal.aborted) throw new ApiError('bad_request', 'The client hung up before its turn.');
      return await ask();
    });
  });
});
