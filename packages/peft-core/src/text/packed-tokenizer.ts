import { createHash } from 'node:crypto';
import type { TokenizerFiles } from './tokenizer.ts';

/**
 * Tokenizer files as JSON in memory shared between threads. A vocabulary has some hundred thousand objects, which take seconds to copy:
 * only a thread that tokenises creates them.
 */
export interface PackedTokenizer {
  /** SHA-256 of the files: equal files have equal keys. */
  key: string;
  json: Uint8Array;
}

export function packTokenizer(files: TokenizerFiles): PackedTokenizer {
  const text = Buffer.from(JSON.stringify(files));
  const json = new Uint8Array(new SharedArrayBuffer(text.length));
  json.set(text);
  return { key: createHash('sha256').update(text).digest('hex'), json };
}

export function unpackTokenizer(json: Uint8Array): TokenizerFiles {
  return JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString());
}
