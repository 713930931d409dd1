import { writeFile } from 'node:fs/promises';
import type { GgufField } from '../../outlines/gguf/gguf-family.ts';
import { encodeField, text, u32, u64 } from '../write-gguf.ts';

export { text, u64 };

/** A metadata value with its type; see gguf.md. */
export type Field = GgufField | { type: 'raw'; value: Buffer };

export interface GgufTensorToWrite {
  name: string;
  /** Row-major. */
  shape: (number | bigint)[];
  /** ggml's id of the type. */
  type: number;
  data: Uint8Array;
  /** Replaces the offset that follows from the preceding tensors. */
  offset?: number | bigint;
}

export interface GgufToWrite {
  magic?: string;
  version?: number;
  tensorCount?: number | bigint;
  keyCount?: number | bigint;
  fields: Record<string, Field>;
  tensors: GgufTensorToWrite[];
}

const encode = (field: Field): Buffer => (field.type === 'raw' ? field.value : encodeField(field));

/** Writes a GGUF file for tests, valid or deliberately broken. */
export async function writeGguf(path: string, gguf: GgufToWrite): Promise<void> {
  const { fields, tensors } = gguf;
  const alignment = 32;
  const pad = (length: number) => (alignment - (length % alignment)) % alignment;
  let offset = 0;
  const infos: Uint8Array[] = [];
  const data: Uint8Array[] = [];
  for (const tensor of tensors) {
    const dims = [...tensor.shape].reverse();
    const at = tensor.offset ?? offset;
    infos.push(text(tensor.name), u32(dims.length), ...dims.map(u64), u32(tensor.type), u64(at));
    data.push(tensor.data, Buffer.alloc(pad(tensor.data.byteLength)));
    offset += tensor.data.byteLength + pad(tensor.data.byteLength);
  }
  const header = Buffer.concat([
    Buffer.from(gguf.magic ?? 'GGUF'),
    u32(gguf.version ?? 3),
    u64(gguf.tensorCount ?? tensors.length),
    u64(gguf.keyCount ?? Object.keys(fields).length),
    ...Object.entries(fields).flatMap(([key, field]) => [text(key), encode(field)]),
    ...infos,
  ]);
  await writeFile(path, Buffer.concat([header, Buffer.alloc(pad(header.byteLength)), ...data]));
}
