import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { PostgresStatements } from './postgres-statements.ts';

/** Fate of a statement that passes: it is forwarded, or the connection is cut before or just after that. */
export type Verdict = 'pass' | 'cut before' | 'cut after';

interface Pair {
  near: Socket;
  far: Socket;
  /** Lets the server finish what it received and drops its answers. */
  cut: boolean;
}

/** A TCP proxy between one process and a server, which can cut, delay or silence that connection alone. */
export class TcpProxy {
  readonly port: number;
  readonly #target: { host: string; port: number };
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #mode: 'open' | 'refusing' | 'silent' = 'open';
  #delayMs = 0;
  /** Called with each statement of the client, before it is sent on; for Postgres. */
  onStatement: ((sql: string) => Verdict) | null = null;

  /** @param host the address to listen on: this machine as seen from a network namespace */
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

  /** Resets every connection and accepts new ones. */
  drop(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** Resets every connection, and new ones immediately. */
  refuse(): void {
    this.#mode = 'refusing';
    this.drop();
  }

  /** Half-open: connections stay open and new ones are accepted, but neither bytes nor ends pass. */
  silence(): void {
    this.#mode = 'silent';
    for (const { near, far } of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  /** Delays each chunk, in both directions. */
  delay(milliseconds: number): void {
    this.#delayMs = milliseconds;
  }

  /** Restores normal forwarding. Silenced connections are reset, because networks usually forget them. */
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
      // The server executes all of it; its answer is dropped.
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
      const decision = this.onStatement?.(sql) ?? 'pass';
      if (decision !== 'pass') verdict = decision;
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
