import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { PostgresStatements } from './postgres-statements.ts';

/** What becomes of a statement that passes: it goes on, or the connection is cut before or just after it was sent on. */
export type Verdict = 'pass' | 'cut before' | 'cut after';

interface Pair {
  near: Socket;
  far: Socket;
  /** The server may finish what it was sent; only its answers find nobody. */
  cut: boolean;
}

/**
 * Stands between one process and a server, so that their connection alone can be cut, slowed or silenced.
 */
export class TcpProxy {
  readonly port: number;
  readonly #target: { host: string; port: number };
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #mode: 'open' | 'refusing' | 'silent' = 'open';
  #delayMs = 0;
  /** Called with each statement of the client, before it is sent on; for Postgres. */
  onStatement: ((sql: string) => Verdict) | null = null;

  /** @param host where it listens: this machine as seen from a network namespace */
  static async open(target: { host: string; port: number }, host = '127.0.0.1'): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return new TcpProxy(server, target);
  }

  private constructor(server: Server, target: { host: string; port: number }) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (near) => this.#accept(near));
  }

  /** Resets every connection; new ones are taken. */
  drop(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** Resets every connection, and new ones at once. */
  refuse(): void {
    this.#mode = 'refusing';
    this.drop();
  }

  /** Half-open: connections stay and are taken, but not a byte passes any more, nor an end. */
  silence(): void {
    this.#mode = 'silent';
    for (const { near, far } of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  /** Each chunk arrives this much later, in both directions. */
  delay(milliseconds: number): void {
    this.#delayMs = milliseconds;
  }

  /** All as at first. What was silenced is reset: a network that forgets its connections is the usual one. */
  restore(): void {
    if (this.#mode !== 'open') this.drop();
    this.#mode = 'open';
    this.#delayMs = 0;
    this.onStatement = null;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.drop();
    await closed;
  }

  #accept(near: Socket): void {
    near.on('error', () => {});
    if (this.#mode === 'refusing') {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ ...this.#target, noDelay: true });
    far.on('error', () => {});
    const pair: Pair = { near, far, cut: false };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('close', () => {
        this.#pairs.delete(pair);
        if (this.#mode !== 'silent' && !pair.cut) to.destroy();
      });
      from.on('end', () => {
        if (this.#mode !== 'silent') to.end();
      });
    }
    const statements = new PostgresStatements();
    near.on('data', (chunk: Buffer) => {
      const verdict = this.#look(statements, chunk);
      if (verdict === 'cut before') return this.#cut(pair);
      this.#forward(near, far, chunk);
      // The server has all of it, and does it; its answer finds nobody.
      if (verdict === 'cut after') this.#cut(pair);
    });
    far.on('data', (chunk: Buffer) => this.#forward(far, near, chunk));
    if (this.#mode === 'silent') {
      near.pause();
      far.pause();
    }
  }

  #look(statements: PostgresStatements, chunk: Buffer): Verdict {
    let verdict: Verdict = 'pass';
    for (const sql of statements.read(chunk)) {
      const told = this.onStatement?.(sql) ?? 'pass';
      if (told !== 'pass') verdict = told;
    }
    return verdict;
  }

  #cut(pair: Pair): void {
    pair.cut = true;
    pair.near.resetAndDestroy();
    pair.far.end();
  }

  #forward(from: Socket, to: Socket, chunk: Buffer): void {
    const send = () => {
      if (this.#mode === 'silent' || to.destroyed || to.writableEnded) return;
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => {
          if (this.#mode !== 'silent') from.resume();
        });
      }
    };
    if (this.#delayMs > 0) setTimeout(send, this.#delayMs);
    else send();
  }
}
