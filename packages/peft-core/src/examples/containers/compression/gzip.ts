import { once } from 'node:events';
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
    const settled = async (done: Promise<unknown>) => {
      await Promise.race([done, once(stream, 'close')]).catch(() => {});
      if (fault) throw fault;
    };
    return {
      write: async (chunk) =>
        await settled(new Promise((resolve) => stream.write(Buffer.from(chunk), () => resolve(null)))),
      end: async () => {
        const ended = once(stream, 'end');
        ended.catch(() => {});
        stream.end();
        await settled(ended);
      },
      close: () => stream.destroy(),
    };
  },
};
