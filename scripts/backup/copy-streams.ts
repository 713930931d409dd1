/** Postgres' COPY as streams of bytes, on a connection of `pg`, which itself only knows queries with rows. */
import { Readable, Writable } from 'node:stream';
import type { Submittable } from 'pg';

/** Part of pg's connection that is used; the exact version of pg is in package.json. */
interface Connection {
  stream: NodeJS.WritableStream & { pause(): void; resume(): void; writableNeedDrain: boolean };
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

const rowsOf = (command: { text: string }) => Number(command.text.split(' ')[1]);

/** Output of `COPY … TO STDOUT`. Passed to `client.query`; `rows` is known at its end. */
export class CopyOut extends Readable implements Submittable {
  rows = 0;
  readonly #statement: string;
  #connection?: Connection;
  /** Rows, each of which comes by itself, until there are enough of them to pass on. */
  #gathered: Buffer[] = [];
  #bytes = 0;

  constructor(statement: string) {
    super();
    this.#statement = statement;
  }

  submit = (connection: unknown): void => {
    this.#connection = connection as Connection;
    this.#connection.query(this.#statement);
  };

  override _read(): void {
    this.#connection?.stream.resume();
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    // pg uses its buffer again.
    this.#gathered.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    if (this.#bytes >= 65_536 && !this.#passOn()) this.#connection?.stream.pause();
  }

  #passOn(): boolean {
    const rows = Buffer.concat(this.#gathered);
    this.#gathered = [];
    this.#bytes = 0;
    return this.push(rows);
  }

  handleCommandComplete(command: { text: string }): void {
    this.rows = rowsOf(command);
  }

  handleReadyForQuery(): void {
    if (this.#bytes > 0) this.#passOn();
    this.push(null);
  }

  handleError(error: Error): void {
    this.destroy(error);
  }
}

/** Input of `COPY … FROM STDIN`. Passed to `client.query`; finished when Postgres has taken all, and `rows` is known then. */
export class CopyIn extends Writable implements Submittable {
  rows = 0;
  readonly #statement: string;
  #connection?: Connection;
  /** Callbacks for when Postgres takes data, and for when it has taken all. */
  #whenReady: (() => void) | null = null;
  #isReady = false;
  #whenDone: (() => void) | null = null;
  #isOver = false;

  constructor(statement: string) {
    super();
    this.#statement = statement;
  }

  submit = (connection: unknown): void => {
    this.#connection = connection as Connection;
    this.#connection.query(this.#statement);
  };

  handleCopyInResponse(): void {
    this.#isReady = true;
    this.#whenReady?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#onceReady((connection) => {
      connection.sendCopyFromChunk(chunk);
      if (connection.stream.writableNeedDrain) connection.stream.once('drain', done);
      else done();
    });
  }

  override _final(done: () => void): void {
    this.#whenDone = done;
    this.#onceReady((connection) => connection.endCopyFrom());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // The source has failed: Postgres answers this by an error, which ends the statement.
    if (error && this.#isReady && !this.#isOver) this.#connection?.sendCopyFail(error.message);
    done(error);
  }

  handleCommandComplete(command: { text: string }): void {
    this.rows = rowsOf(command);
  }

  handleReadyForQuery(): void {
    this.#isOver = true;
    this.#whenDone?.();
  }

  handleError(error: Error): void {
    this.#isOver = true;
    this.destroy(error);
  }

  #onceReady(work: (connection: Connection) => void): void {
    if (this.#isReady) work(this.#connection!);
    else this.#whenReady = () => work(this.#connection!);
  }
}
