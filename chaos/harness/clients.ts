import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Rig, Team } from './rig.ts';

/** A request that may be sent at any time, and how often relative to others. */
export interface Kind {
  name: string;
  weight: number;
  /** Maximum open requests of this kind, below the limits of one key and team; the next one is sent as another kind instead. */
  most?: number;
  make(): Ask;
}

export interface Ask {
  team: Team;
  method: string;
  /** Under /v1. */
  path: string;
  body?: Buffer;
  headers?: Record<string, string>;
  /** Called with each successful answer. */
  onSuccess?(body: string): void;
}

/** Counts of one phase. */
export class Tally {
  sent = 0;
  answers = 0;
  successes = 0;
  /** Milliseconds of each answer. */
  readonly times: number[] = [];
  /** Answers that overload does not excuse, one of each kind and status. */
  readonly faults: string[] = [];
  readonly #statuses = new Map<string, number>();
  readonly #seen = new Set<string>();
  readonly #start = performance.now();
  #seconds = 0;

  add(kind: string, { status, retryAfter, body }: Answer, milliseconds: number): void {
    this.answers += 1;
    this.times.push(milliseconds);
    this.#statuses.set(String(status), (this.#statuses.get(String(status)) ?? 0) + 1);
    const isSuccess = typeof status === 'number' && (status < 300 || status === 304);
    if (isSuccess) this.successes += 1;
    const isRefusal = status === 503 || status === 429;
    if (isSuccess || (isRefusal && retryAfter)) return;
    const name = `${kind}: ${status}${isRefusal ? ' without Retry-After' : ''}`;
    if (!this.#seen.has(name)) this.faults.push(`${name} ${body.slice(0, 300)}`);
    this.#seen.add(name);
  }

  end(): this {
    this.#seconds = (performance.now() - this.#start) / 1000;
    return this;
  }

  /** Successful answers a second. */
  get rate(): number {
    return this.successes / this.#seconds;
  }

  get byStatus(): string {
    return [...this.#statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
  }
}

interface Answer {
  /** A status, or why there is none. */
  status: number | string;
  retryAfter: boolean;
  body: string;
}

/** Maximum open requests of all clients: what their machine can hold, and within the API's limits of connections. */
const openLimit = 2000;
/** Addresses of this machine from which the requests come, since the API limits each address. */
const addresses = 8;
/** Milliseconds without an answer after which a request counts as lost. */
const patience = 120_000;
const tickMs = 20;

/** Clients of a running API over connections that stay open. */
export class Clients {
  readonly #rig: Rig;
  readonly #agents = Array.from({ length: addresses }, () => new http.Agent({ keepAlive: true }));
  readonly #open = new Map<Kind, number>();
  #asked = 0;
  #allOpen = 0;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  /** This many clients, each of which sends its next request when the last is answered. */
  async closed(kinds: readonly Kind[], count: number, seconds: number): Promise<Tally> {
    const tally = new Tally();
    const until = performance.now() + 1000 * seconds;
    await Promise.all(
      Array.from({ length: count }, async () => {
        while (performance.now() < until) await this.#send(this.#pick(kinds), tally);
      }),
    );
    return tally.end();
  }

  /** `count` clients that each ask for the same once a second. */
  async poll(count: number, kind: Kind, seconds: number): Promise<Tally> {
    const tally = new Tally();
    const until = performance.now() + 1000 * seconds;
    await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        for (await sleep((1000 * i) / count); performance.now() < until; ) {
          const asked = performance.now();
          await this.#send(kind, tally);
          await sleep(Math.max(0, 1000 - (performance.now() - asked)));
        }
      }),
    );
    return tally.end();
  }

  /** `rate` requests a second, whether or not earlier ones are answered. */
  async open(kinds: readonly Kind[], rate: number, seconds: number): Promise<Tally> {
    const tally = new Tally();
    const start = performance.now();
    const sent: Promise<void>[] = [];
    for (let due = 0; ; await sleep(tickMs)) {
      const passed = (performance.now() - start) / 1000;
      if (passed > seconds) break;
      for (; due < passed * rate; due++)
        if (this.#allOpen < openLimit) sent.push(this.#send(this.#pick(kinds), tally));
    }
    await Promise.all(sent);
    return tally.end();
  }

  /** The next kind in proportion to the weights; the first kind in place of one with too many open requests. */
  #pick(kinds: readonly Kind[]): Kind {
    const all = kinds.reduce((sum, { weight }) => sum + weight, 0);
    // A step that has no common divisor with the sum visits all weights, and mixes them.
    let at = (this.#asked * 7919) % all;
    for (const kind of kinds) {
      at -= kind.weight;
      if (at < 0) return (this.#open.get(kind) ?? 0) < (kind.most ?? openLimit) ? kind : kinds[0]!;
    }
    return kinds[0]!;
  }

  async #send(kind: Kind, tally: Tally): Promise<void> {
    const ask = kind.make();
    const from = this.#asked++ % addresses;
    this.#open.set(kind, (this.#open.get(kind) ?? 0) + 1);
    this.#allOpen += 1;
    tally.sent += 1;
    const start = performance.now();
    const answer = await this.#answer(ask, from);
    tally.add(kind.name, answer, performance.now() - start);
    if (typeof answer.status === 'number' && answer.status < 300) ask.onSuccess?.(answer.body);
    this.#open.set(kind, this.#open.get(kind)! - 1);
    this.#allOpen -= 1;
  }

  async #answer({ team, method, path, body, headers }: Ask, from: number): Promise<Answer> {
    return await new Promise((resolve) => {
      const lost = (error: NodeJS.ErrnoException) =>
        resolve({ status: error.code ?? error.message, retryAfter: false, body: '' });
      const sent = http.request(
        `${this.#rig.url}${path}`,
        {
          method,
          agent: this.#agents[from]!,
          localAddress: `127.0.0.${from + 2}`,
          signal: AbortSignal.timeout(patience),
          headers: {
            authorization: `Bearer ${team.key}`,
            ...(body && { 'content-type': 'application/json', 'content-length': body.length }),
            ...headers,
          },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (piece: string) => {
            text += piece;
          });
          response.on('error', lost);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              retryAfter: response.headers['retry-after'] !== undefined,
              body: text,
            }),
          );
        },
      );
      sent.on('error', lost);
      sent.end(body);
    });
  }
}
