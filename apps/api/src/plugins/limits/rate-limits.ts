import { createHash } from 'node:crypto';
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import { openCountStore, openSharedCounts, type SharedCounts } from '@graft/service';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../../api-error.ts';

/** Requests a minute; 0: no limit. */
export interface RateLimits {
  perKey: number;
  perAddress: number;
  /** Of these, those with a key that is not let in. */
  wrongKeysPerAddress: number;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Not counted: what a monitor scrapes. */
    unmetered?: boolean;
  }
  interface FastifyInstance {
    /** What `auth` counts; throws `rate_limit_exceeded`. */
    rates: {
      /** Before a key is looked up: too many from this address were wrong. One that was let in lately is looked up all the same. */
      beforeLookup(request: FastifyRequest): Promise<void>;
      wrongKey(request: FastifyRequest): Promise<void>;
      rightKey(request: FastifyRequest, reply: FastifyReply): Promise<void>;
    };
  }
}

/** A key is known for so long after it was let in, and so many of them are. */
const knownMs = 10 * 60_000;
const mostKnown = 10_000;

/**
 * Counts requests of each minute by address, when they come, and by key, when that is known, over all API processes. Each answer says
 * how many are left of whichever runs out first. What an orchestrator probes and scrapes is not counted.
 */
export const rateLimits = fp<{ limits: RateLimits; syncMs: number }>(async (app, { limits, syncMs }) => {
  const { services } = app;
  const store = await openCountStore(services, services.env);
  const counts = openSharedCounts(store, { syncMs, log: services.log });
  app.addHook('onClose', async () => await counts.close());
  await app.register(rateLimit, { global: false, store: storeOf(counts), timeWindow: 60_000 });

  const addressOf = ({ ip }: FastifyRequest) => normalizeIP(ip);
  const ofAddress = app.createRateLimit({
    max: limits.perAddress,
    keyGenerator: (request) => `address ${addressOf(request)}`,
  });
  const ofKey = app.createRateLimit({
    max: limits.perKey,
    keyGenerator: ({ caller, operator, session }) =>
      session ? `session ${session.id}` : `key ${(caller ?? operator).keyId}`,
  });
  const ofWrongKeys = app.createRateLimit({
    max: limits.wrongKeysPerAddress,
    keyGenerator: (request) => `wrong keys ${addressOf(request)}`,
  });
  const known = new Map<string, number>();

  app.addHook('onRequest', async (request, reply) => {
    const { unlimited, unmetered } = request.routeOptions.config;
    if (limits.perAddress === 0 || unlimited || unmetered) return;
    hold(reply, await ofAddress(request), 'address');
  });

  app.decorate('rates', {
    beforeLookup: async (request) => {
      if (limits.wrongKeysPerAddress === 0) return;
      const state = await ofWrongKeys(request, { increment: false });
      if (state.isAllowed || state.remaining > 0) return;
      const until = known.get(digestOf(request));
      if (until !== undefined && until > Date.now()) return;
      throw new ApiError(
        'rate_limit_exceeded',
        `This address has sent ${state.max} requests with wrong API keys in this minute, the limit; try again in ${state.ttlInSeconds} s.`,
        { headers: { 'retry-after': String(state.ttlInSeconds) } },
      );
    },
    wrongKey: async (request) => {
      if (limits.wrongKeysPerAddress > 0) await ofWrongKeys(request);
    },
    rightKey: async (request, reply) => {
      const digest = digestOf(request);
      known.delete(digest);
      known.set(digest, Date.now() + knownMs);
      if (known.size > mostKnown) known.delete(known.keys().next().value!);
      if (limits.perKey > 0) hold(reply, await ofKey(request), 'key');
    },
  });
});

type Checked = Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>;

/** Tells the client where it stands, unless it has heard of something tighter, and throws past the limit. */
function hold(reply: FastifyReply, state: Checked, holder: 'key' | 'address'): void {
  if (state.isAllowed) return;
  const { max, remaining, ttlInSeconds: seconds } = state;
  const told = reply.getHeader('ratelimit-remaining');
  if (told === undefined || remaining < Number(told)) {
    reply.headers({
      'ratelimit-limit': max,
      'ratelimit-remaining': remaining,
      'ratelimit-reset': seconds,
      'x-ratelimit-limit-requests': max,
      'x-ratelimit-remaining-requests': remaining,
      'x-ratelimit-reset-requests': `${seconds}s`,
    });
  }
  if (!state.isExceeded) return;
  throw new ApiError(
    'rate_limit_exceeded',
    `This ${holder} has sent ${max} requests in this minute, the limit; try again in ${seconds} s.`,
    { headers: { 'retry-after': String(seconds) } },
  );
}

/** Nothing that keeps keys in memory keeps them readable. */
function digestOf({ headers }: FastifyRequest): string {
  return createHash('sha256')
    .update(headers.authorization ?? headers.cookie ?? '')
    .digest('base64');
}

/** The shared counts as the plugin takes them. Its windows of a minute are theirs. */
function storeOf(counts: SharedCounts) {
  type Answer = (error: Error | null, result?: { current: number; ttl: number }) => void;
  return class Store {
    incr(name: string, answer: Answer): void {
      answer(null, { current: counts.add(name), ttl: counts.msLeft() });
    }

    read(name: string, answer: Answer): void {
      answer(null, { current: counts.read(name), ttl: counts.msLeft() });
    }

    child(): Store {
      return this;
    }
  };
}
