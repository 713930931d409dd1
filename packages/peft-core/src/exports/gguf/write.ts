import path from 'node:path';
import { withTurnEnds } from '../../files.ts';
import { packTensor, rowsOfEach } from '../../gguf/pack-tensor.ts';
import { ggufTypes } from '../../gguf/types.ts';
import { type PackedTensor, writeGguf } from '../../gguf/write-gguf.ts';
import { tokenizerFields } from '../../gguf/write-tokenizer.ts';
import { families } from '../../outlines/families.ts';
import type { GgufFamily, GgufField } from '../../outlines/gguf/gguf-family.ts';
import { loadTokenizer, type TokenizerFiles, withChatTemplate } from '../../text/index.ts';
import type { ExportJob, ExportWriter } from '../export-writer.ts';
import { mergedParameters, whatIsLost } from '../merged/write.ts';
import { checkRange } from './check-range.ts';
import { type FileType, fileTypes } from './file-types.ts';
import { type GgufOptions, ggufName } from './format.ts';
import { type GgufModel, ggufModel, type PlannedTensor, plannedTensors } from './gguf-model.ts';

/** Writes the merged model as one GGUF file. One parameter is in memory at a time, in float32; the matrices of a layer's experts are one. */
export const writeGgufModel: ExportWriter<GgufOptions> = async (job) => {
  const { base, outputDir, options, fitting, onBytes } = job;
  const { adapter, architecture } = fitting;
  const model = ggufModel(base.config)!;
  const merged = mergedParameters(base, fitting, options.base);
  const planned = plannedTensors(model, [...architecture.parameters, ...merged.untied], options.dtype);
  const read = parameterReader(merged.values);
  const values = (name: string) =>
    read(
      merged.stored(name) === undefined && !merged.merges.has(name)
        ? (architecture.aliases[name] ?? name)
        : name,
    );
  const tables = Object.entries(model.family.tables?.(model.outline) ?? {});
  const tensors = [
    ...tables.map(
      ([name, table]): PackedTensor => ({
        name,
        shape: [table.length],
        type: 'F32',
        data: (append) => packTensor(table, [table.length], { rearranged: null, shift: 0 }, 'F32', append),
      }),
    ),
    ...planned.map(
      (tensor): PackedTensor => ({
        name: tensor.ggufName,
        shape: tensor.ggufShape,
        type: tensor.type,
        data: (append) => packPlanned(tensor, values, append),
      }),
    ),
  ];
  const file = await writeGguf(
    path.join(outputDir, ggufName),
    metadata(job, model, planned),
    tensors,
    onBytes,
  );
  return {
    files: [{ ...file, path: ggufName }],
    notes: [
      ...(model.family.notes?.(model.outline) ?? []),
      ...typeNotes(options.dtype, planned),
      ...(adapter.quantised ? [whatIsLost(options.base, adapter.quantised)] : []),
    ],
  };
};

/** Reads a parameter again only if another one was read in between: experts' matrices are written in parts. */
function parameterReader(values: (name: string) => Promise<Float32Array>) {
  let last: { name: string; data: Promise<Float32Array> } | null = null;
  return (name: string): Promise<Float32Array> => {
    if (last?.name !== name) {
      // Releases the previous one before the next is read.
      last = null;
      last = { name, data: values(name) };
    }
    return last.data;
  };
}

async function packPlanned(
  { parameter, ggufName: name, shape, ggufShape, rows, layout, type }: PlannedTensor,
  values: (name: string) => Promise<Float32Array>,
  append: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const all = await values(parameter);
  const own = rows ? rowsOfEach(all, shape, rows) : all;
  checkRange(name, own, type);
  await packTensor(own, rows ? ggufShape : shape, layout, type, append);
}

function metadata(
  { base, options, fitting, name }: ExportJob<GgufOptions>,
  { family, outline }: GgufModel,
  planned: readonly PlannedTensor[],
): Record<string, GgufField> {
  const files = withChatTemplate(base.tokenizerFiles, fitting.adapter.chatTemplate);
  const ends = [withTurnEnds(base, loadTokenizer(files))?.eos_token_id ?? base.config.eos_token_id].flat();
  const own = Object.entries(family.fields(outline));
  const rows = planned.find(({ part }) => part === 'token_embd')!.shape[0]!;
  const tokens = tokenizerFields(files, {
    rows,
    ends: ends.filter((id): id is number => typeof id === 'number'),
    config: base.config,
    family,
  });
  return {
    'general.architecture': { type: 'string', value: family.architecture },
    'general.type': { type: 'string', value: 'model' },
    ...nameField(name, family, files, tokens),
    'general.file_type': { type: 'u32', value: fileTypes[options.dtype].id },
    'general.quantization_version': { type: 'u32', value: 2 },
    ...Object.fromEntries(own.map(([key, field]) => [`${family.architecture}.${key}`, field])),
    ...tokens,
  };
}

/** The name of a model, by which llama.cpp also decides whether the spaces after special tokens are dropped. Empty where no name does it right. */
function nameField(
  name: string,
  family: GgufFamily,
  { tokenizerJson }: TokenizerFiles,
  fields: Record<string, GgufField>,
): Record<string, GgufField> {
  const { added_tokens = [] } = tokenizerJson as { added_tokens?: { special: boolean; rstrip: boolean }[] };
  const strips = added_tokens.some(({ special, rstrip }) => special && rstrip);
  const tokens = fields['tokenizer.ggml.tokens'] as { value: readonly string[] };
  const rules = families.flatMap(({ gguf }) => gguf?.namedWith ?? []);
  const found = rules.find(({ pattern }) => pattern.test(name));
  const needed = found ?? (strips ? family.namedWith : undefined);
  if (needed && !(strips && needed.tokens.every((token) => tokens.value.includes(token)))) return {};
  return { 'general.name': { type: 'string', value: needed && !found ? `${name} (${needed.name})` : name } };
}

/** Names the tensors whose rows do not fill the blocks of the type. */
function typeNotes(fileType: FileType, planned: readonly PlannedTensor[]): string[] {
  const { weights } = fileTypes[fileType];
  const usual = new Set([weights, weights === 'MXFP4' ? 'Q8_0' : 'Q6_K', 'F32']);
  const others = planned.filter(({ type }) => !usual.has(type));
  if (others.length === 0) return [];
  const counts = [...new Set(others.map(({ type }) => type))].map(
    (type) => `${others.filter((other) => other.type === type).length} as ${type}`,
  );
  const widths = [...new Set(others.map(({ ggufShape }) => ggufShape.at(-1)))];
  return [
    `${fileType} packs ${ggufTypes[weights].values} values of a row at a time; tensors with rows of ${widths.join(', ')} values are stored in larger types, as llama-quantize stores them: ${counts.join(', ')}.`,
  ];
}
