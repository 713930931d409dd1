import { CHUNK, type DeltaShape } from '../block-sizes/delta-groups.ts';
import type { GridShape } from '../examples/batches/choose-grid.ts';
import { attentionOf, type ModelOutline, mixedWidth, type RecurrentRule } from '../outlines/outline.ts';
import type { Attended } from './planned-batches.ts';
import type { Scores } from './score-blocks.ts';

/** Counts of numbers (tensor elements) in a block for one micro-batch. */
export interface BlockNumbers {
  positions: number;
  /** Numbers stored for the backward pass, including those of the residual stream. */
  kept: number;
  stream: number;
  /** Numbers that its norms store besides those of the stream; those of a recurrent layer are in `recurrent`. */
  normed: number;
  /** True if its feed-forward network has a gate. */
  gated: boolean;
  /** Numbers of its attention probabilities, over all heads. */
  scores: number;
  /** Attention scores of self-attention. */
  own: Scores;
  /** Numbers of a layer with a state in the place of attention; absent: it has attention. */
  recurrent?: RecurrentNumbers;
  /** Numbers of the queries, which equal those of attention's output. */
  queries: number;
  /** Numbers of the keys, which equal those of the values. */
  keys: number;
  /** Numbers of the tensors between the linear modules of its feed-forward network: one tensor, or two with a gate. */
  inner: number;
  /** Numbers of the widest tensor between its linear modules. */
  widest: number;
  /** Multiplications and additions of the forward products with its frozen matrices. */
  products: number;
}

export interface RecurrentNumbers {
  /** Numbers stored for the backward pass: inputs and outputs of the convolution, the rule's output and its norm, the gate. */
  kept: number;
  output: number;
  rule: RecurrentRule;
  shape: DeltaShape;
  /** Multiplications and additions of the rule's forward products. */
  products: number;
}

interface Linear {
  /** True if it is of a recurrent layer. */
  mixes: boolean;
  in: number;
  out: number;
  /** Computed on the input of an encoder-decoder's encoder. */
  onInput: boolean;
  /** How often each position is multiplied by it: by as many experts' matrices. */
  times: number;
  isExpert: boolean;
}

/** Number of blocks of the model, including those of an encoder. */
export const blockCount = ({
  layers,
  encoderLayers = 0,
}: Pick<ModelOutline, 'layers' | 'encoderLayers'>): number => layers + encoderLayers;

/** Counts for every block of the model, those of an encoder before those of its decoder. */
export function blockNumbers(
  model: ModelOutline,
  shape: Pick<GridShape, 'rows' | 'tokens' | 'inputTokens'>,
  attended: Attended = { own: shape.tokens, input: shape.inputTokens },
): BlockNumbers[] {
  const { hiddenSize: H, heads, encoderLayers = 0, keptByNorms = 0 } = model;
  const own = shape.rows * shape.tokens;
  const input = shape.rows * shape.inputTokens;
  return linearsByBlock(model).map((linears, block) => {
    const recurrent = recurrentNumbers(model, block, shape);
    const isEncoder = block < encoderLayers;
    const isDecoder = !isEncoder && encoderLayers > 0;
    const { kvHeads, headSize, keysFrom } = attentionOf(model, isEncoder ? block : block - encoderLayers);
    const headWidth = heads * headSize;
    const ownKeys = keysFrom === null ? kvHeads * headSize : 0;
    const positions = isEncoder ? input : own;
    const length = isEncoder ? attended.input : attended.own;
    // Modules that widen are those of the feed-forward network; a gated one has two.
    const isWide = (each: Linear) => !each.mixes && each.in === H && each.out > H && each.out !== headWidth;
    const wide = linears.filter((each) => (each.isExpert ? each.in === H : isWide(each)));
    const inner = wide.reduce((sum, { out, times }) => sum + times * out, 0);
    // On average a position sees half of the text before it, or a whole window.
    const seen = Math.min(length, 2 * (model.window?.(block) ?? length));
    const scores = recurrent ? 0 : positions * heads * seen;
    const crossed = isDecoder ? positions * heads * attended.input : 0;
    const mixed = recurrent?.kept ?? positions * (2 * headWidth + 2 * ownKeys);
    const normed = recurrent ? 0 : positions * keptByNorms;
    const selfKept = positions * (2 * H + inner) + normed + mixed;
    const crossKept = isDecoder ? positions * (H + 2 * headWidth) + input * 2 * headWidth : 0;
    return {
      positions,
      kept: selfKept + crossKept,
      gated: wide.length > 1 || wide.some(({ isExpert }) => isExpert),
      normed,
      stream: positions * (isDecoder ? 3 : 2) * H,
      scores: scores + crossed,
      own: {
        rows: shape.rows,
        kvHeads,
        group: heads / kvHeads,
        queries: positions / shape.rows,
        keys: length,
        causal: isDecoder || model.pooling === 'last',
      },
      ...(recurrent && { recurrent }),
      queries: positions * headWidth * (isDecoder ? 2 : 1),
      keys: (positions + (isDecoder ? input : 0)) * kvHeads * headSize,
      inner: positions * inner,
      widest: positions * Math.max(H, ...wide.map(({ out, times }) => times * out)),
      products: linears.reduce(
        (sum, each) => sum + 2 * each.times * each.in * each.out * (each.onInput || isEncoder ? input : own),
        0,
      ),
    };
  });
}

/** Products of a state space per position and value head; g value heads share the scores of a key head. */
const stateSpaceProducts = (K: number, V: number, g: number): number =>
  2 * (CHUNK * V + (CHUNK * K) / g + 2 * K * V);

/** Products of the delta rule per position and value head: within a chunk, with its state, and between states. */
function ruleProducts(K: number, V: number): number {
  const within = 2 * CHUNK * K + CHUNK * V + (CHUNK * (K + V)) / 2;
  const withState = K * K + 3 * K * V;
  const betweenStates = (K * K * (K + 2 * V)) / CHUNK;
  return 2 * (within + withState + betweenStates);
}

function recurrentNumbers(
  { recurrence }: ModelOutline,
  layer: number,
  { rows, tokens }: Pick<GridShape, 'rows' | 'tokens'>,
): RecurrentNumbers | undefined {
  if (!recurrence?.has(layer)) return undefined;
  const positions = rows * tokens;
  const output = positions * recurrence.valueHeads * recurrence.valueSize;
  const { keyHeads, valueHeads, keySize, valueSize } = recurrence;
  return {
    kept: 2 * positions * mixedWidth(recurrence) + 3 * output,
    output,
    rule: recurrence.rule,
    shape: { rows, tokens, keyHeads, valueHeads, keySize, valueSize },
    products:
      positions *
      valueHeads *
      (recurrence.rule === 'delta'
        ? ruleProducts(keySize, valueSize)
        : stateSpaceProducts(keySize, valueSize, valueHeads / keyHeads)),
  };
}

function linearsByBlock(model: ModelOutline): Linear[][] {
  const { modules, encoderLayers = 0, vocabularySize } = model;
  const blocks: Linear[][] = Array.from({ length: blockCount(model) }, () => []);
  for (const { name, kind, in: width, out, columns } of modules) {
    const number = /\.(\d+)\./.exec(name);
    if (kind !== 'linear' || !number || out === vocabularySize) continue;
    const isEncoder = encoderLayers > 0 && name.startsWith('encoder.');
    const block = Number(number[1]) + (isEncoder ? 0 : encoderLayers);
    // Keys and values of cross-attention are computed on the encoder's output.
    const onInput = isEncoder || /EncDecAttention\.[kv]$/.test(name);
    const mixes = model.recurrence !== undefined && name.includes(`.${model.recurrence.module}.`);
    // Often narrower than the hidden size, so that only its name shows that it belongs to the feed-forward network.
    const isExpert = /\.(shared_expert\.(gate|up)_proj|shared_mlp\.input_linear)$/.test(name);
    // A fused module computes what several modules would.
    for (const each of columns ?? [out!])
      blocks[block]?.push({ in: width!, out: each, onInput, times: 1, isExpert, mixes });
  }
  for (const { name, shape, experts } of model.parameters) {
    const number = /\.(\d+)\./.exec(name);
    if (!experts || !number) continue;
    const [, out, width] = shape as [number, number, number];
    blocks[Number(number[1])]?.push({
      in: width,
      out,
      onInput: false,
      times: model.routing?.chosen ?? 1,
      isExpert: true,
      mixes: false,
    });
  }
  return blocks;
}

/** Numbers that are inputs of several blocks, which also those keep that are recomputed: of each layer's input by token. */
export const sharedNumbers = ({ layers, layerInputWidth = 0 }: ModelOutline, positions: number): number =>
  positions * layers * layerInputWidth;

/** Labels of a micro-batch and sizes of a language model's head; null without such a head. */
export function headNumbers(model: ModelOutline, { labels }: GridShape) {
  if (model.task !== 'CAUSAL_LM' && model.task !== 'SEQ_2_SEQ_LM') return null;
  const { vocabularySize, hiddenSize } = model;
  return { labels, vocabularySize, hiddenSize };
}
