import { writeFile } from 'node:fs/promises';

/** A metadata value with its type; see gguf.md. */
export type Field =
  | { type: 'u32' | 'i32' | 'f32' | 'u64'; value: number | bigint }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'strings'; value: string[] }
  | { type: 'i32s'; value: number[] }
  | { type: 'raw'; value: Buffer };

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

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

export const u64 = (value: number | bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

export const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function encode(field: Field): Buffer {
  switch (field.type) {
    case 'u32':
      return Buffer.concat([u32(4), u32(Number(field.value))]);
    case 'i32':
      return Buffer.concat([u32(5), u32(Number(field.value))]);
    case 'f32':
      return Buffer.concat([u32(6), Buffer.from(Float32Array.of(Number(field.value)).buffer)]);
    case 'u64':
      return Buffer.concat([u32(10), u64(field.value)]);
    case 'bool':
      return Buffer.concat([u32(7), Buffer.of(field.value ? 1 : 0)]);
    case 'string':
      return Buffer.concat([u32(8), text(field.value)]);
    case 'strings':
      return Buffer.concat([u32(9), u32(8), u64(field.value.length), ...field.value.map(text)]);
    case 'i32s':
      return Buffer.concat([u32(9), u32(5), u64(field.value.length), ...field.value.map(u32)]);
    case 'raw':
      return field.value;
  }
}

/** Writes a GGUF file for tests, valid or deliberately broken. */
export async function writeGguf(path: string, gguf: GgufToWrite): Promise<void> {
  const { fields, tensors } = gguf;
  const alignment = 32;
  const pad = (length: number) => (alignment - (length % alignment)) % alignment;
  let offset = 0;
  const infos: Buffer[] = [];
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
