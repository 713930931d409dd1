import { GraftError } from '../errors.ts';
import type { RandomAccessFile } from '../tensors/random-access-file.ts';

const windowBytes = 1 << 20;

/** Reads a GGUF header sequentially through a small window. All numbers are little-endian. */
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

  /** Loads the next `length` bytes into the window. Checks that the file has them before it allocates memory. */
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

  // The methods below read synchronously, after need(): an await for each of a header's many small values would be slow.

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

/** Returns a number if a double represents the value exactly, else the bigint. */
function small(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
