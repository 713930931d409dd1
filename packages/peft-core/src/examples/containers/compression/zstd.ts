import { Decompress } from 'fzstd';
import { GraftError } from '../../../errors.ts';
import type { Compression } from './compression.ts';

/** Largest window, which is kept in memory. RFC 8878 recommends that every decoder supports it, and `zstd -19` needs no larger one. */
const MAX_WINDOW_BYTES = 8 * 1024 * 1024;

export const zstd: Compression = {
  name: 'zstd',
  title: 'Zstandard',
  magic: [0x28, 0xb5, 0x2f, 0xfd],
  open(onData) {
    let fault: unknown = null;
    /** The header of the frame that is being read: the library reserves its window, without touching the memory. */
    const checkWindow = () => {
      const { s: frame } = decompressor as unknown as { s?: { e: number } | number | null };
      if (typeof frame !== 'object' || !frame || frame.e <= MAX_WINDOW_BYTES) return;
      throw new GraftError(
        'invalid_jsonl',
        `the Zstandard data needs a window of ${frame.e} bytes; at most ${MAX_WINDOW_BYTES} are supported: compress with level 19 or less, and without --long`,
      );
    };
    const decompressor = new Decompress((piece) => {
      try {
        checkWindow();
        if (piece.length > 0) onData(piece);
      } catch (error) {
        fault = error;
        throw error;
      }
    });
    const push = (chunk: Uint8Array, isLast: boolean) => {
      try {
        decompressor.push(chunk, isLast);
      } catch (error) {
        if (fault) throw fault;
        const reason = error instanceof Error ? error.message : String(error);
        throw new GraftError('invalid_jsonl', `the Zstandard data is damaged or cut off: ${reason}`);
      }
      checkWindow();
    };
    return {
      write: async (chunk) => push(chunk, false),
      end: async () => push(new Uint8Array(0), true),
      close: () => {},
    };
  },
};
