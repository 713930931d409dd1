import { GraftError } from '../../errors.ts';
import { layoutOf, type TensorLayout, type WrittenName, writtenNames } from '../../gguf/names.ts';
import type { WrittenType } from '../../gguf/quantisers/quantize.ts';
import { familyOf } from '../../outlines/families.ts';
import type { GgufFamily } from '../../outlines/gguf/gguf-family.ts';
import { outlineOf } from '../../outlines/index.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import type { ExportRefusal } from '../export-format.ts';
import { type FileType, type QuantisedModel, tensorType } from './file-types.ts';

/** A model of a family that llama.cpp computes. */
export interface GgufModel {
  family: GgufFamily;
  outline: ModelOutline;
}

export function ggufModel(config: Record<string, unknown>): GgufModel | null {
  const family = familyOf(String(config.model_type));
  const gguf = family.textGguf?.(config) ?? family.gguf;
  return gguf ? { family: gguf, outline: outlineOf(config, 'CAUSAL_LM') } : null;
}

/** Why llama.cpp cannot run a model with this config.json, for a task; null if it can. */
export function modelRefusal(config: Record<string, unknown>, task: string): ExportRefusal | null {
  const refuse = (message: string) => ({ param: 'format', message: `${message}; export it as merged` });
  if (task !== 'CAUSAL_LM') return refuse(`Graft writes GGUF files of language models, not of ${task}`);
  const model = ggufModel(config);
  if (!model) return refuse(`Graft writes no GGUF files of ${String(config.model_type)} models`);
  const missing = model.family.missing(model.outline);
  return missing === null ? null : refuse(`llama.cpp computes no ${missing}`);
}

/** A tensor of a GGUF file, and the parameter that it is written from. */
export interface PlannedTensor extends WrittenName {
  parameter: string;
  /** The parameter's shape, Hugging Face's. */
  shape: readonly number[];
  layout: TensorLayout;
  type: WrittenType;
  /** The shape in the file, row-major. */
  ggufShape: number[];
}

/** The tensors of a file, in its order: those of a model's parameters, and a separate head if it has one. */
export function plannedTensors(
  { family, outline }: GgufModel,
  parameters: readonly { name: string; shape: readonly number[] }[],
  fileType: FileType,
): PlannedTensor[] {
  const all = [...parameters];
  const [head, embedding] = Object.entries(outline.aliases)[0] ?? [];
  if (family.needsOutput && head && !all.some(({ name }) => name === head))
    all.push({ name: head, shape: all.find(({ name }) => name === embedding)!.shape });
  const named = all.flatMap((parameter) => {
    const names = writtenNames(family, outline, parameter.name);
    if (names.length > 0) return names.map((name) => ({ ...name, ...parameter }));
    throw new GraftError(
      'not_exportable',
      `${parameter.name} has no name in GGUF files; export it as merged`,
      { param: 'format' },
    );
  });
  const model: QuantisedModel = {
    layers: outline.layers,
    heads: outline.heads,
    kvHeads: outline.kvHeads,
    experts: outline.routing?.experts ?? 0,
    tied: !named.some(({ part }) => part === 'output'),
  };
  return named.map(({ name, shape, ...written }) => {
    const layout = layoutOf(family, written, (part) => (part === 'attn_q' ? outline.heads : outline.kvHeads));
    const ggufShape = shapeInFile(shape, layout, written.rows);
    const type = tensorType(
      fileType,
      written,
      { axes: ggufShape.length, width: ggufShape.at(-1) ?? 1 },
      model,
    );
    return { ...written, parameter: name, shape, layout, type, ggufShape };
  });
}

function shapeInFile(
  shape: readonly number[],
  { rearranged }: TensorLayout,
  rows: PlannedTensor['rows'],
): number[] {
  if (rearranged === 'transposed') return [...shape].reverse();
  if (!rows) return [...shape];
  const [experts, height, ...width] = shape as [number, number, number?];
  return [experts, height / rows.count, ...(width as number[])];
}
