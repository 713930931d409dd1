import { GraftError } from '../errors.ts';
import type { RandomAccessFile } from '../tensors/random-access-file.ts';

/** Bytes fetched at a time. */
const windowBytes = 1 << 20;

/** Reads a GGUF header front to back through a small window. Everything is little-endian. */
export class GgufCursor {
  readonly #file: RandomAccessFile;
  #window = Buffer.alloc(0);
  /** Position in the file of the window's first byte. */
  #start = 0;
  /** Position in the file of the next byte. */
  position = 0;

  constructor(file: RandomAccessFile) {
    this.#file = file;
  }

  get remaining(): number {
    return this.#file.size - this.position;
  }

  fail(what: string): GraftError {
    return new GraftError('invalid_gguf', `${this.#file.path}: ${what}`);
  }

  /** Makes the next `length` bytes available; they are checked against the file's length before memory is taken. */
  async need(length: number, what: string): Promise<void> {
    if (this.position + length <= this.#start + this.#window.byteLength) return;
    if (length > this.remaining) {
      throw this.fail(
        `${what} takes ${length} bytes at byte ${this.position}, but only ${this.remaining} follow`,
      );
    }
    const size = Math.min(this.remaining, Math.max(length, windowBytes));
    const { buffer } = await this.#file.read(this.position, size);
    this.#window = Buffer.from(buffer);
    this.#start = this.position;
  }

  // The rest read synchronously, after need(): the many small values of a header would be slow one await at a time.

  available(length: number): boolean {
    return this.position + length <= this.#start + this.#window.byteLength;
  }

  #advance(length: number): number {
    const at = this.position - this.#start;
    this.position += length;
    return at;
  }

  u8 = () => this.#window.readUInt8(this.#advance(1));
  i8 = () => this.#window.readInt8(this.#advance(1));
  u16 = () => this.#window.readUInt16LE(this.#advance(2));
  i16 = () => this.#window.readInt16LE(this.#advance(2));
  u32 = () => this.#window.readUInt32LE(this.#advance(4));
  i32 = () => this.#window.readInt32LE(this.#advance(4));
  f32 = () => this.#window.readFloatLE(this.#advance(4));
  f64 = () => this.#window.readDoubleLE(this.#advance(8));
  u64 = () => small(this.#window.readBigUInt64LE(this.#advance(8)));
  i64 = () => small(this.#window.readBigInt64LE(this.#advance(8)));

  text(length: number): string {
    const at = this.#advance(length);
    return this.#window.toString('utf8', at, at + length);
  }
}

/** A number where a double holds it exactly. */
function small(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
