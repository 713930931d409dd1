// Differences between Node and browsers.

type NodeModule = 'node:fs' | 'node:path' | 'node:crypto';

/** Returns a Node module; undefined in browsers. Does not use `import()`, which bundlers for browsers would try to resolve. */
export function nodeModule<Name extends NodeModule>(
  name: Name,
): ReturnType<typeof process.getBuiltinModule<Name>> | undefined {
  return globalThis.process?.getBuiltinModule?.(name);
}

/** Returns a Node module for a feature that only Node supports; throws TypeError in browsers. */
export function requireNodeModule<Name extends NodeModule>(
  name: Name,
  purpose: string,
): NonNullable<ReturnType<typeof nodeModule<Name>>> {
  const found = nodeModule(name);
  if (found === undefined || found === null) throw new TypeError(`${purpose} needs Node.js.`);
  return found;
}

export interface Sha256 {
  update(chunk: Uint8Array): void;
  /** Hexadecimal. */
  digest(): Promise<string>;
}

/** Returns whether hashing is available: browsers only hash on https pages and on localhost. */
export const canHash = (): boolean =>
  nodeModule('node:crypto') != null || globalThis.crypto?.subtle !== undefined;

/** Creates a SHA-256 hash, streaming in Node. Browsers' SubtleCrypto only hashes whole buffers, so the bytes are collected there. */
export function createSha256(): Sha256 {
  const crypto = nodeModule('node:crypto');
  if (crypto != null) {
    const hash = crypto.createHash('sha256');
    return { update: (chunk) => void hash.update(chunk), digest: async () => hash.digest('hex') };
  }
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  return {
    update: (chunk) => void chunks.push(chunk.slice()),
    async digest() {
      const whole = await new Blob(chunks).arrayBuffer();
      const digest = new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', whole));
      return toHex(digest);
    },
  };
}

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Replaces ReadableStream.from, which several browsers lack. */
export function streamOf(chunks: AsyncGenerator<Uint8Array, void, void>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        controller.error(error);
      }
    },
    async cancel() {
      await chunks.return();
    },
  });
}
