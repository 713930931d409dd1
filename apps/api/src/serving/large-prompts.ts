import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { createFairQueue } from '../threads/fair-queue.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Asks workers for an answer to a prompt of so many characters; of a team's large prompts one after the other, until the answer begins
     * or is refused. Throws where the client has hung up by then.
     */
    askWorkers<T>(
      prompt: { teamId: string; characters: number; signal: AbortSignal },
      ask: () => Promise<T>,
    ): Promise<T>;
  }
}

/**
 * Characters. A context of 32,000 tokens takes about as many. Sending what is larger to a worker, and reading it there, holds the event
 * loops of both for milliseconds.
 */
const largeCharacters = 128 * 1024;

/** A turn waits for a worker alone, which waits for no turn here. */
export const largePrompts = fp(async (app) => {
  const queue = createFairQueue({
    running: { perOwner: 1, all: Number.POSITIVE_INFINITY },
    // Bounded by the completions that may be open.
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
