import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type { GgufField } from '../outlines/gguf/gguf-family.ts';
import type { WrittenFile } from '../safetensors/write-safetensors.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { packedBytes, type WrittenType } from './quantisers/quantize.ts';
import { ggmlTypeId } from './types.ts';

export interface PackedTensor {
  name: string;
  /** Row-major. */
  shape: readonly number[];
  type: WrittenType;
  /** Gives all packed bytes to `append`, in order; it is called when they are written. */
  data(append: (bytes: Uint8Array) => Promise<void>): Promise<void>;
}

/** Tensors start at multiples of this number of bytes, the format's default. */
const alignment = 32;

/** Type ids of metadata values (gguf.md, `enum gguf_metadata_value_type`). */
const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10 } as const;

/**
 * Writes a GGUF file, version 3. The file is complete and on disk, or absent: it is written beside `path`, synced and renamed. `onBytes` is
 * called with the number of bytes of each piece; its error ends the writing.
 */
export async function writeGguf(
  path: string,
  fields: Readonly<Record<string, GgufField>>,
  tensors: readonly PackedTensor[],
  onBytes?: (bytes: number) => void,
): Promise<WrittenFile> {
  const partial = `${path}.partial`;
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(partial, 'w');
  try {
    const append = async (content: Uint8Array) => {
      hash.update(content);
      await file.writeFile(content);
      bytes += content.byteLength;
      onBytes?.(content.byteLength);
    };
    const pad = async () => append(new Uint8Array(padding(bytes)));
    await append(encodeHeader(fields, tensors));
    await pad();
    for (const tensor of tensors) {
      const start = bytes;
      await tensor.data(append);
      const expected = tensorBytes(tensor);
      if (bytes - start !== expected)
        throw new Error(`tensor "${tensor.name}" has ${bytes - start} bytes instead of ${expected}`);
      await pad();
    }
    await file.sync();
    await file.close();
    await rename(partial, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(partial, { force: true });
    throw error;
  }
  return { path, bytes, sha256: hash.digest('hex') };
}

const padding = (length: number) => (alignment - (length % alignment)) % alignment;

const tensorBytes = ({ shape, type }: Pick<PackedTensor, 'shape' | 'type'>) =>
  packedBytes(type, elementCount(shape));

/** The header, with its padding not included. */
export function encodeHeader(
  fields: Readonly<Record<string, GgufField>>,
  tensors: readonly Omit<PackedTensor, 'data'>[],
): Buffer {
  const parts = [
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(Object.keys(fields).length),
    ...Object.entries(fields).flatMap(([key, field]) => [text(key), encodeField(field)]),
  ];
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    parts.push(
      text(name),
      u32(shape.length),
      ...[...shape].reverse().map(u64),
      u32(ggmlTypeId(type)),
      u64(offset),
    );
    const length = tensorBytes({ shape, type });
    offset += length + padding(length);
  }
  return Buffer.concat(parts);
}

/** Bytes of a whole file. */
export function ggufBytes(
  fields: Readonly<Record<string, GgufField>>,
  tensors: readonly Omit<PackedTensor, 'data'>[],
): number {
  const header = encodeHeader(fields, tensors).byteLength;
  const packed = tensors.map(tensorBytes);
  return packed.reduce((sum, bytes) => sum + bytes + padding(bytes), header + padding(header));
}

export function encodeField(field: GgufField): Buffer {
  switch (field.type) {
    case 'u32':
    case 'i32':
      return Buffer.concat([u32(valueTypes[field.type]), u32(Number(field.value))]);
    case 'f32':
      return Buffer.concat([u32(valueTypes.f32), bytesOf(Float32Array.of(Number(field.value)))]);
    case 'u64':
      return Buffer.concat([u32(valueTypes.u64), u64(field.value)]);
    case 'bool':
      return Buffer.concat([u32(valueTypes.bool), Buffer.of(field.value ? 1 : 0)]);
    case 'string':
      return Buffer.concat([u32(valueTypes.string), text(field.value)]);
    case 'strings':
      return Buffer.concat([
        u32(valueTypes.array),
        u32(valueTypes.string),
        u64(field.value.length),
        ...field.value.map(text),
      ]);
    case 'bools':
      return array(valueTypes.bool, Uint8Array.from(field.value, Number));
    case 'i32s':
      return array(valueTypes.i32, Int32Array.from(field.value));
    case 'u32s':
      return array(valueTypes.u32, Uint32Array.from(field.value));
    case 'f32s':
      return array(valueTypes.f32, Float32Array.from(field.value));
  }
}

const array = (type: number, values: Uint8Array | Int32Array | Uint32Array | Float32Array) =>
  Buffer.concat([u32(valueTypes.array), u32(type), u64(values.length), bytesOf(values)]);

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

export const u32 = (value: number): Buffer => bytesOf(Uint32Array.of(value)) as Buffer;

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** A string with its length before it. */
export const text = (value: string): Buffer =>
  Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
