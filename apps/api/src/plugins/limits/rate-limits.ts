import { createHash } from 'node:crypto';
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import { GraftError } from '@graft/peft-core/config';
import { openCountStore, openSharedCounts, type SharedCounts } from '@graft/service/rates';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../../api-error.ts';

/** Requests per minute; 0: no limit. */
export interface RateLimits {
  perKey: number;
  perAddress: number;
  /** Requests with a wrong API key, session or invitation token. */
  wrongKeysPerAddress: number;
  /** Requests that start a sign-in at the provider or return from one. */
  signInsPerAddress: number;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Not counted: endpoints that a monitoring system scrapes. */
    unmetered?: boolean;
  }
  interface FastifyInstance {
    /** Counts of requests and of secrets: API keys, session cookies and invitation tokens. Throws `rate_limit_exceeded`. */
    rates: {
      /**
       * Looks up a secret with `find`, unless this address has sent too many wrong secrets this minute; a secret that was recently right
       * is looked up in any case. A secret is wrong if `find` resolves to null or throws a GraftError with one of `wrongCodes`.
       */
      lookUp<T>(
        request: FastifyRequest,
        secret: string,
        find: () => Promise<T | null>,
        wrongCodes?: readonly string[],
      ): Promise<T | null>;
      countByKey(request: FastifyRequest, reply: FastifyReply): Promise<void>;
      countSignIn(request: FastifyRequest, reply: FastifyReply): Promise<void>;
    };
  }
}

/** How long, and how many, secrets are remembered after they were right. */
const knownMs = 10 * 60_000;
const maxKnown = 10_000;

/**
 * Counts requests per minute across all API processes: by address on arrival, and by key once that is known. Each response reports the
 * remaining requests of the limit that is reached first. The probes and scrapes of an orchestrator are not counted.
 */
export const rateLimits = fp<{ limits: RateLimits; syncMs: number }>(async (app, { limits, syncMs }) => {
  const { services } = app;
  const store = await openCountStore(services, services.env);
  const counts = openSharedCounts(store, { syncMs, log: services.log });
  app.addHook('onClose', async () => await counts.close());
  await app.register(rateLimit, { global: false, store: storeOf(counts), timeWindow: 60_000 });

  const addressOf = ({ ip }: FastifyRequest) => normalizeIP(ip);
  const addressLimit = app.createRateLimit({
    max: limits.perAddress,
    keyGenerator: (request) => `address ${addressOf(request)}`,
  });
  const keyLimit = app.createRateLimit({
    max: limits.perKey,
    keyGenerator: ({ caller, operator, session, directory }) =>
      session ? `session ${session.id}` : `key ${directory || (caller ?? operator).keyId}`,
  });
  const wrongKeyLimit = app.createRateLimit({
    max: limits.wrongKeysPerAddress,
    keyGenerator: (request) => `wrong keys ${addressOf(request)}`,
  });
  const signInLimit = app.createRateLimit({
    max: limits.signInsPerAddress,
    keyGenerator: (request) => `sign-ins ${addressOf(request)}`,
  });
  const known = new Map<string, number>();

  function remember(secret: string): void {
    const digest = digestOf(secret);
    known.delete(digest);
    known.set(digest, Date.now() + knownMs);
    if (known.size > maxKnown) known.delete(known.keys().next().value!);
  }

  async function checkWrongKeys(request: FastifyRequest, secret: string): Promise<void> {
    const state = await wrongKeyLimit(request, { increment: false });
    if (state.isAllowed || state.remaining > 0) return;
    const until = known.get(digestOf(secret));
    if (until !== undefined && until > Date.now()) return;
    throw new ApiError(
      'rate_limit_exceeded',
      `This address has sent ${state.max} requests with wrong API keys, sessions or invitations in this minute, the limit; try again in ${state.ttlInSeconds} s.`,
      { headers: { 'retry-after': String(state.ttlInSeconds) } },
    );
  }

  app.addHook('onRequest', async (request, reply) => {
    const { unlimited, unmetered } = request.routeOptions.config;
    if (limits.perAddress === 0 || unlimited || unmetered) return;
    hold(reply, await addressLimit(request), 'address');
  });

  app.decorate('rates', {
    lookUp: async (request, secret, find, wrongCodes = []) => {
      if (limits.wrongKeysPerAddress === 0) return await find();
      await checkWrongKeys(request, secret);
      try {
        const found = await find();
        if (found === null) await wrongKeyLimit(request);
        else remember(secret);
        return found;
      } catch (error) {
        if (error instanceof GraftError && wrongCodes.includes(error.code)) await wrongKeyLimit(request);
        throw error;
      }
    },
    countByKey: async (request, reply) => {
      if (limits.perKey > 0) hold(reply, await keyLimit(request), 'key');
    },
    countSignIn: async (request, reply) => {
      if (limits.signInsPerAddress > 0) hold(reply, await signInLimit(request), 'address', 'sign-ins');
    },
  });
});

type Checked = Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>;

/** Sets the rate-limit headers, unless a tighter limit is already reported, and throws beyond the limit. */
function hold(
  reply: FastifyReply,
  state: Checked,
  holder: 'key' | 'address',
  what: 'requests' | 'sign-ins' = 'requests',
): void {
  if (state.isAllowed) return;
  const { max, remaining, ttlInSeconds: seconds } = state;
  const reported = reply.getHeader('ratelimit-remaining');
  if (reported === undefined || remaining < Number(reported)) {
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
    `This ${holder} has sent ${max} ${what} in this minute, the limit; try again in ${seconds} s.`,
    { headers: { 'retry-after': String(seconds) } },
  );
}

/** Digest of a secret, so that memory holds no readable keys. */
function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64');
}

/** Adapts the shared counts to the plugin. Both use windows of a minute. */
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
