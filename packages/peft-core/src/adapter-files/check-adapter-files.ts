/** Checks an untrusted adapter's files against a base model. Synchronous, so that a thread with a deadline can run it. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import type { PeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { defaultTask } from '../outlines/index.ts';
import {
  headerLength,
  parseHeader,
  type SafetensorsEntry,
  type SafetensorsType,
} from '../safetensors/safetensors-header.ts';
import { halfValues } from '../tensors/float16.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { fileTensorsFor } from '../tuners/check.ts';
import type { FileTensor } from '../tuners/file-tensors.ts';
import { baseDigestIn } from './adapter-card.ts';
import { cardName, configName, parseAdapterConfig, weightsName } from './adapter-files.ts';
import { checkCommonFields } from './check-common-fields.ts';

const weightTypes = ['F32', 'F16', 'BF16', 'F64'] as const;
type WeightType = (typeof weightTypes)[number];

function isWeightType(dtype: SafetensorsType): dtype is WeightType {
  return (weightTypes as readonly string[]).includes(dtype);
}

/** Number of bytes checked at a time, so that the whole tensor is never in memory. */
const chunkBytes = 1 << 20;

const largestFloat32 = 3.4028234663852886e38;

/** Returns the first value in `bytes` that is not finite in float32, with its position; null if there is none. */
const looks: Record<WeightType, (bytes: ArrayBuffer, count: number) => { at: number; value: number } | null> =
  {
    F32: (bytes, count) => {
      const bits = new Uint32Array(bytes, 0, count);
      // All bits of the exponent are set: infinity or NaN.
      const at = bits.findIndex((each) => (each & 0x7f800000) === 0x7f800000);
      return at < 0 ? null : { at, value: new Float32Array(bytes)[at]! };
    },
    F16: (bytes, count) => {
      const bits = new Uint16Array(bytes, 0, count);
      const at = bits.findIndex((each) => (each & 0x7c00) === 0x7c00);
      return at < 0 ? null : { at, value: halfValues()[bits[at]!]! };
    },
    BF16: (bytes, count) => {
      const bits = new Uint16Array(bytes, 0, count);
      const at = bits.findIndex((each) => (each & 0x7f80) === 0x7f80);
      return at < 0 ? null : { at, value: new Float32Array(Uint32Array.of(bits[at]! << 16).buffer)[0]! };
    },
    F64: (bytes, count) => {
      const values = new Float64Array(bytes, 0, count);
      // Also false for NaN.
      const at = values.findIndex((each) => !(Math.abs(each) <= largestFloat32));
      return at < 0 ? null : { at, value: values[at]! };
    },
  };

const widths: Record<WeightType, number> = { F32: 4, F16: 2, BF16: 2, F64: 8 };

/** The first value of a tensor that is not finite in float32, in which models compute; null if all are finite. */
function findNonFinite(
  handle: number,
  { dtype, position, bytes }: SafetensorsEntry,
): { position: number; value: number } | null {
  if (!isWeightType(dtype)) return null;
  const look = looks[dtype];
  const width = widths[dtype];
  const chunk = new Uint8Array(Math.min(bytes, chunkBytes));
  for (let start = 0; start < bytes; start += chunk.length) {
    const length = Math.min(chunk.length, bytes - start);
    for (let done = 0; done < length; ) {
      const count = readSync(handle, chunk, done, length - done, position + start + done);
      if (count === 0) throw new Error('the file became shorter while it was read');
      done += count;
    }
    const found = look(chunk.buffer, length / width);
    if (found) return { position: start / width + found.at, value: found.value };
  }
  return null;
}

/** Maximum sizes of files in bytes. A header of this length describes 20,000 tensors; the caller limits the weights. */
export const adapterFileLimits = {
  [configName]: 256 * 1024,
  [cardName]: 1024 * 1024,
  header: 4 * 1024 * 1024,
} as const;

export interface CheckedAdapter {
  /** The config with PEFT's defaults filled in. */
  peft: PeftConfig;
  /** Number of tensors in the file, and of their elements. */
  tensors: number;
  parameters: number;
}

/** Maximum length of an error message in characters, whatever the files hold. */
const longestMessage = 1000;

/**
 * Checks the three files of `folder` (README.md is optional) as untrusted input: sizes before anything is read, the header's
 * dtypes, shapes and offsets, each tensor against config and model, each number, and that README.md names no other base
 * weights than `base.digest`. Throws GraftErrors that name file and key; `param` is the option of the config or the file.
 */
export function checkAdapterFiles(
  folder: string,
  base: { config: Record<string, unknown>; digest: string },
): CheckedAdapter {
  return withFileNames(folder, () => {
    const raw = readConfig(path.join(folder, configName));
    checkCommonFields(raw);
    const { config: peft } = parseAdapterConfig(raw, defaultTask(base.config));
    const expected = fileTensorsFor(peft, base.config);
    checkCard(path.join(folder, cardName), base.digest);
    const { tensors, parameters } = checkWeights(path.join(folder, weightsName), expected);
    return { peft, tensors, parameters };
  });
}

/** Shortens file names in messages to those that the sender used, and truncates messages, which may quote the files' content. */
function withFileNames<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const text = error.message.replaceAll(folder + path.sep, '');
    const message = text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text;
    const isConfigFault = error.param?.startsWith('peft.') ?? false;
    throw new GraftError(error.code, isConfigFault ? `${configName}: ${message}` : message, {
      param: error.param ?? weightsName,
      cause: error,
    });
  }
}

function invalid(file: string, what: string): GraftError {
  return new GraftError('invalid_adapter_file', `${file} ${what}`, { param: file });
}

/** Reads a small text file. Throws if it is too long or not UTF-8; returns null if it does not exist. */
function readText(file: string): string | null {
  const name = path.basename(file) as typeof configName | typeof cardName;
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const { size } = fstatSync(handle);
    if (size > adapterFileLimits[name])
      throw invalid(name, `has ${size} bytes; at most ${adapterFileLimits[name]} are accepted`);
    const bytes = new Uint8Array(size);
    readFully(handle, bytes, 0);
    refuseOtherFormats(name, bytes);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.includes('\0')) throw invalid(name, 'holds U+0000');
    return text;
  } catch (error) {
    if (error instanceof TypeError) throw invalid(name, 'is not UTF-8 text');
    throw error;
  } finally {
    closeSync(handle);
  }
}

function readConfig(file: string): Record<string, unknown> {
  const text = readText(file);
  if (text === null) throw invalid(configName, 'is missing');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(configName, 'is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(configName, 'is not a JSON object');
  return value as Record<string, unknown>;
}

/** If README.md names the weights that the adapter was trained on, as Graft's does, they must be these. */
function checkCard(file: string, digest: string): void {
  const text = readText(file);
  const named = text === null ? null : baseDigestIn(text);
  if (named === null || named === digest) return;
  throw new GraftError(
    'base_model_changed',
    `${cardName} says that the adapter was trained on weights with the SHA-256 ${named}; those of this base model have ${digest}`,
    { param: cardName },
  );
}

/** Formats mistaken for safetensors, by their first bytes. None of them is ever opened. */
const otherFormats: [name: string, bytes: number[]][] = [
  ['a zip archive, as torch.save makes them', [0x50, 0x4b, 0x03, 0x04]],
  ['an empty zip archive', [0x50, 0x4b, 0x05, 0x06]],
  ['a gzip archive', [0x1f, 0x8b]],
  ['a GGUF file', [0x47, 0x47, 0x55, 0x46]],
  ['an HDF5 file', [0x89, 0x48, 0x44, 0x46]],
  ['a numpy array', [0x93, 0x4e, 0x55, 0x4d]],
  ...[2, 3, 4, 5].map((protocol): [string, number[]] => ['a pickle', [0x80, protocol]]),
];

function refuseOtherFormats(name: string, start: Uint8Array): void {
  // A safetensors file may start with any of the short signatures, because its first bytes are a length; the bytes after them decide.
  const isSafetensors = start.length > 8 && start[8] === 0x7b && start[6] === 0 && start[7] === 0;
  const found = otherFormats.find(([, bytes]) => bytes.every((byte, i) => start[i] === byte));
  if (found && !isSafetensors) throw invalid(name, `is ${found[0]}; only safetensors and JSON are read`);
}

function checkWeights(file: string, expected: FileTensor[]): { tensors: number; parameters: number } {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw invalid(weightsName, 'is missing');
    throw error;
  }
  try {
    const { size } = fstatSync(handle);
    if (size < 8) throw invalid(weightsName, `is only ${size} bytes long`);
    const start = new Uint8Array(Math.min(size, 16));
    readFully(handle, start, 0);
    refuseOtherFormats(weightsName, start);
    const length = headerLength(weightsName, start.subarray(0, 8), size);
    if (length > adapterFileLimits.header)
      throw invalid(
        weightsName,
        `has a header of ${length} bytes; at most ${adapterFileLimits.header} are accepted`,
      );
    const header = new Uint8Array(length);
    readFully(handle, header, 8);
    const { tensors } = parseHeader(weightsName, header, size);
    checkTensors(tensors, expected);
    for (const [key, entry] of tensors) {
      const found = findNonFinite(handle, entry);
      if (found)
        throw invalid(
          weightsName,
          `holds ${found.value} at position ${found.position} of tensor "${key}"; numbers must be finite in float32`,
        );
    }
    const parameters = [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
    return { tensors: tensors.size, parameters };
  } finally {
    closeSync(handle);
  }
}

/** Maximum number of faults in a message; the check stops there. */
const maxFaults = 5;

/** Throws `adapter_does_not_fit` for keys that are missing, unknown, of another shape or of a type that weights cannot have. */
function checkTensors(found: ReadonlyMap<string, SafetensorsEntry>, expected: FileTensor[]): void {
  const wanted = new Map(expected.map((tensor) => [tensor.key, tensor]));
  const faults: string[] = [];
  for (const [key, { dtype, shape }] of found) {
    if (faults.length >= maxFaults) break;
    const tensor = wanted.get(key);
    const shown = JSON.stringify(key.slice(0, 200));
    if (!tensor) faults.push(`${shown} is none of this config on this base model`);
    else if (tensor.shape.join() !== shape.join())
      faults.push(
        `${shown} has shape [${shape}], and this config on this base model needs [${tensor.shape}]`,
      );
    else if (!isWeightType(dtype))
      faults.push(`${shown} is stored as ${dtype}; weights may be ${weightTypes.join(', ')}`);
  }
  for (const { key, needless } of expected) {
    if (faults.length >= maxFaults) break;
    if (!needless && !found.has(key)) faults.push(`"${key}" is missing`);
  }
  if (faults.length === 0) return;
  throw new GraftError('adapter_does_not_fit', `${weightsName}: ${faults.join('; ')}`, {
    param: weightsName,
  });
}

function readFully(handle: number, target: Uint8Array, position: number): void {
  for (let done = 0; done < target.length; ) {
    const count = readSync(handle, target, done, target.length - done, position + done);
    if (count === 0) throw new Error('the file became shorter while it was read');
    done += count;
  }
}
