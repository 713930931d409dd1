import type { WrittenType } from '../../gguf/quantisers/quantize.ts';
import { ggufTypes } from '../../gguf/types.ts';

/** Types of a file's weights: the option `dtype`, with llama.cpp's number for `general.file_type`. */
export const fileTypes = {
  f32: { id: 0, weights: 'F32' },
  f16: { id: 1, weights: 'F16' },
  bf16: { id: 32, weights: 'BF16' },
  q8_0: { id: 7, weights: 'Q8_0' },
  q6_k: { id: 18, weights: 'Q6_K' },
  q5_k_m: { id: 17, weights: 'Q5_K' },
  q4_k_m: { id: 15, weights: 'Q4_K' },
  mxfp4_moe: { id: 38, weights: 'MXFP4' },
} as const satisfies Record<string, { id: number; weights: WrittenType }>;

export type FileType = keyof typeof fileTypes;

/** The properties of a model on which the type of a tensor depends. */
export interface QuantisedModel {
  layers: number;
  heads: number;
  kvHeads: number;
  /** Number of experts of a layer; 0 without. */
  experts: number;
  /** The file has no output matrix. */
  tied: boolean;
}

/** Parts that are never quantised: routers, positions, convolutions. */
const exact = new Set(['ffn_gate_inp', 'position_embd', 'ssm_conv1d']);

/**
 * The type of a tensor, as llama-quantize chooses it without an importance matrix: vectors and norms stay float32, and in the
 * mixed types the output matrix, and in some layers the values and the second matrix of the feed-forward network, have 6 bits; beside
 * MXFP4, which is for experts, is Q8_0. `width` is the length of a row. Source: llama.cpp, src/llama-quant.cpp.
 */
export function tensorType(
  fileType: FileType,
  { ggufName, part, kind }: { ggufName: string; part: string; kind: string },
  { axes, width }: { axes: number; width: number },
  model: QuantisedModel,
): WrittenType {
  if (axes < 2 || kind !== 'weight' || part.endsWith('_norm') || exact.has(part)) return 'F32';
  const { weights } = fileTypes[fileType];
  if (weights === 'F32' || weights === 'F16' || weights === 'BF16') return weights;
  if (weights === 'MXFP4') return fitting(axes === 3 ? weights : 'Q8_0', width);
  return fitting(mixed(fileType, part, layerOf(ggufName), width, model), width);
}

function mixed(
  fileType: FileType,
  part: string,
  layer: number,
  width: number,
  { layers, heads, kvHeads, experts, tied }: QuantisedModel,
): WrittenType {
  const { weights } = fileTypes[fileType];
  if (part === 'output' || (tied && part === 'token_embd')) {
    if (width % ggufTypes[weights].values !== 0 || weights === 'Q8_0') return 'Q8_0';
    return 'Q6_K';
  }
  const isMixed = fileType === 'q4_k_m' || fileType === 'q5_k_m';
  if (part === 'attn_v' || part === 'attn_qkv') {
    if (experts === 8) return 'Q8_0';
    if (isMixed && hasMoreBits(layer, layers)) return 'Q6_K';
    // Values of 80 layers whose heads share them are small, so that more bits cost little.
    return weights === 'Q4_K' && layers === 80 && heads !== kvHeads ? 'Q5_K' : weights;
  }
  if (part === 'attn_k' && experts === 8) return 'Q8_0';
  if (part === 'attn_output' && experts === 8 && weights === 'Q4_K') return 'Q5_K';
  if (part.startsWith('ffn_down') && isMixed && hasMoreBits(layer, layers)) return 'Q6_K';
  return weights;
}

/** The first and the last eighth of the layers, and every third between. */
function hasMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

const layerOf = (ggufName: string) => Number(/^blk\.(\d+)\./.exec(ggufName)?.[1] ?? 0);

/** The types of smaller blocks that take the place of types whose blocks do not fill a row. */
const smaller: Partial<Record<WrittenType, WrittenType>> = { Q4_K: 'Q5_0', Q5_K: 'Q5_1', Q6_K: 'Q8_0' };

function fitting(type: WrittenType, width: number): WrittenType {
  const fits = (candidate: WrittenType) => width % ggufTypes[candidate].values === 0;
  if (fits(type)) return type;
  const other = smaller[type];
  return other && fits(other) ? other : 'F16';
}
