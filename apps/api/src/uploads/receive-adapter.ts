import type { MultipartFile } from '@fastify/multipart';
import { GraftError } from '@graft/peft-core/config';
import { adapterFileLimits } from '@graft/peft-core/files';
import { receiveStaged } from '@graft/service/storage';
import type { IncomingBytes } from '@graft/service/teams';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';
import { missingParameter, readMultipart, unknownParameter } from './read-multipart.ts';
import { counted } from './receive-upload.ts';

/** The fields of the form besides the files. */
export interface AdapterFields {
  base_model: string;
  name: string;
  /** Name of the model from which training continued; null: the base model. */
  parent: string | null;
  note: string | null;
}

interface AdapterLimits {
  /** Maximum bytes of the weights. */
  bytes: number;
  /** Milliseconds without data after which the upload is aborted. */
  idleMs: number;
}

/** Pattern of each field, and its description. */
const fieldRules: Record<keyof AdapterFields, [pattern: RegExp, rule: string]> = {
  base_model: [/^[^\p{C}]{1,256}$/u, 'must be the id of a base model'],
  name: [
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be 1 to 64 letters, digits, ".", "_" and "-", and begin with a letter or digit',
  ],
  parent: [/^ft:[^\p{C}]{1,500}$/u, 'must be the name of a fine-tuned model, ft:…'],
  note: [/^[^\0\p{Surrogate}]{1,10000}$/su, 'must be a string of at most 10000 characters'],
};

/** Limits of the parser. A field holds at most the longest note in UTF-8. */
export const multipartLimits = {
  files: 3,
  fields: 8,
  fieldNameSize: 100,
  fieldSize: 40_000,
  headerPairs: 20,
  fileSize: Number.POSITIVE_INFINITY,
};

/**
 * Streams a multipart upload into `folder`: fields, and `file` once for each of the adapter's files, in any order. The server chooses the
 * names of stored files; the names sent are only compared with them. `onField` may reject a field as soon as it arrives. Throws ApiError or
 * GraftError; the caller must then remove the folder.
 */
export async function receiveAdapter(
  request: FastifyRequest,
  folder: string,
  incoming: IncomingBytes,
  limits: AdapterLimits,
  onField: (name: keyof AdapterFields, value: string) => Promise<void>,
): Promise<AdapterFields> {
  const sizes: Record<string, number> = {
    'adapter_config.json': adapterFileLimits['adapter_config.json'],
    'adapter_model.safetensors': limits.bytes,
    'README.md': adapterFileLimits['README.md'],
  };
  const fields = new Map<string, string>();
  const files = new Set<string>();
  await readMultipart(request, { idleMs: limits.idleMs, file: 'file', maxFiles: 3 }, async (body) => {
    for await (const part of body.parts()) {
      if (part.type === 'file') {
        const name = fileNameOf(part, sizes, files);
        files.add(name);
        await receiveStaged(folder, name, counted(body.bytes(part), incoming), sizes[name]!).catch((error) =>
          rethrowTooLarge(error, name, sizes),
        );
        continue;
      }
      const name = part.fieldname;
      if (!Object.hasOwn(fieldRules, name)) throw unknownParameter(shown(name));
      if (fields.has(name)) throw invalidValue(name, 'occurs twice');
      const [pattern, rule] = fieldRules[name as keyof AdapterFields];
      if (typeof part.value !== 'string' || part.valueTruncated || !pattern.test(part.value))
        throw invalidValue(name, rule);
      fields.set(name, part.value);
      await onField(name as keyof AdapterFields, part.value);
    }
    for (const name of ['base_model', 'name']) if (!fields.has(name)) throw missingParameter(name);
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      if (!files.has(name))
        throw new ApiError('missing_required_parameter', `The upload has no file ${name}.`, {
          param: 'file',
        });
  });
  return {
    base_model: fields.get('base_model')!,
    name: fields.get('name')!,
    parent: fields.get('parent') ?? null,
    note: fields.get('note') ?? null,
  };
}

function fileNameOf(part: MultipartFile, sizes: object, files: ReadonlySet<string>): string {
  if (part.fieldname !== 'file') throw unknownParameter(shown(part.fieldname));
  const name = part.filename ?? '';
  if (!Object.hasOwn(sizes, name)) {
    throw invalidValue(
      'file',
      `is named ${JSON.stringify(name.slice(0, 100))}; an adapter's files are ${Object.keys(sizes).join(', ')}`,
    );
  }
  if (files.has(name)) throw invalidValue('file', `has ${name} twice`);
  return name;
}

function rethrowTooLarge(error: unknown, name: string, sizes: Record<string, number>): never {
  if (!(error instanceof GraftError) || error.code !== 'file_too_large') throw error;
  throw new ApiError('file_too_large', `${name} has more than ${sizes[name]} bytes, the limit.`, {
    param: name,
    cause: error,
  });
}

function invalidValue(name: string, rule: string): ApiError {
  return new ApiError('invalid_value', `Invalid '${name}': ${rule}.`, { param: name });
}

const shown = (name: string) => name.slice(0, 100);
