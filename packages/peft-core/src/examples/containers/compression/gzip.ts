import { createGunzip } from 'node:zlib';
import { GraftError } from '../../../errors.ts';
import type { Compression } from './compression.ts';

export const gzip: Compression = {
  name: 'gzip',
  title: 'gzip',
  magic: [0x1f, 0x8b],
  open(onData) {
    const stream = createGunzip({ chunkSize: 64 * 1024 });
    let fault: unknown = null;
    /** Ends the wait for the stream, whether it goes well or not. */
    let release = () => {};
    const fail = (error: unknown) => {
      fault ??= error;
      stream.destroy();
    };
    stream.on('data', (piece: Buffer) => {
      if (fault) return;
      try {
        onData(piece);
      } catch (error) {
        fail(error);
      }
    });
    stream.on('error', (error) =>
      fail(new GraftError('invalid_jsonl', `the gzip data is damaged or cut off: ${error.message}`)),
    );
    stream.on('end', () => release());
    stream.on('close', () => release());
    const settled = async (begin: (done: () => void) => void) => {
      if (!fault)
        await new Promise<void>((resolve) => {
          release = resolve;
          begin(resolve);
        });
      if (fault) throw fault;
    };
    return {
      write: async (chunk) => await settled((done) => stream.write(Buffer.from(chunk), () => done())),
      // Ends when the stream does.
      end: async () => await settled(() => stream.end()),
      close: () => stream.destroy(),
    };
  },
};
