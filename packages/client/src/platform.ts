import { nodeModule } from './node-modules.ts';

export interface Sha256 {
  update(chunk: Uint8Array): void;
  /** Hexadecimal. */
  digest(): Promise<string>;
}

/** Streaming in Node. Browsers' SubtleCrypto hashes whole buffers only, so there the bytes are kept. */
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
