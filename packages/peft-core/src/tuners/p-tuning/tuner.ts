import { tf } from '@graft/tf-graph';
import type { Architecture } from '../../models/architecture.ts';
import { dropout } from '../../nn/dropout.ts';
import { bidirectionalLstm, type LstmWeights } from '../../nn/lstm.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { affine, embeddingTable, linearLayer, virtualTokenEmbedding } from '../attach/prompt-layers.ts';
import { savedModules } from '../attach/saved-modules.ts';
import { constant, drawn, uniform } from '../attach/start-values.ts';
import { PROMPT } from '../file-tensors.ts';
import { promptRows, virtualTokenSizes } from '../soft-prompt.ts';
import type { AdapterParameter, Attachment, AttachmentForm, LayerContext, Tuner } from '../tuner.ts';
import { type PTuningConfig, pTuningMethod } from './method.ts';

/** Embeddings before every sequence, trained through an encoder. Options, names and start values follow peft's PromptEncoderConfig. */
export const pTuningTuner: Tuner<PTuningConfig> = { keyPrefix: '', attach };

function attach(config: PTuningConfig, model: Architecture, form: AttachmentForm): Attachment {
  pTuningMethod.check(config, model);
  const saved = savedModules(config, model, 'base_model.');
  const sizes = {
    rows: promptRows(config, model),
    width: model.hiddenSize,
    hidden: config.encoder_hidden_size ?? model.hiddenSize,
  };
  const encoder = promptEncoder(config, sizes);
  const folded: AdapterParameter = {
    name: PROMPT,
    shape: [sizes.rows, sizes.width],
    init: constant(sizes.rows * sizes.width, 0),
  };
  return {
    parameters: [...(form === 'trained' ? encoder.parameters : [folded]), ...saved.parameters],
    ...(form === 'trained' ? { derive: (context) => new Map([[PROMPT, encoder.encode(context)]]) } : {}),
    replacements: saved.replacements,
    sharedByBlocks: saved.parameters.map(({ name }) => name),
    embeddings: new Map([[model.tokenEmbedding, virtualTokenEmbedding(model.vocabularySize)]]),
    virtualTokens: config.num_virtual_tokens,
    written: { ...config, ...virtualTokenSizes(model), encoder_hidden_size: sizes.hidden },
  };
}

interface EncoderSizes {
  /** Number of virtual tokens. */
  rows: number;
  /** Width of the model. */
  width: number;
  hidden: number;
}

interface PromptEncoder {
  parameters: AdapterParameter[];
  /** The virtual tokens' embeddings, `(rows, width)`. */
  encode(context: LayerContext): tf.Tensor;
}

const name = (rest: string) => `prompt_encoder.${rest}`;

/** The encoder of P-tuning; parameters have the names of PEFT's PyTorch modules. Source: peft, tuners/p_tuning/model.py. */
function promptEncoder(config: PTuningConfig, sizes: EncoderSizes): PromptEncoder {
  const { rows, width } = sizes;
  const { parameters, encode } =
    config.encoder_reparameterization_type === 'MLP' ? mlp(sizes) : lstm(config, sizes);
  const table = embeddingTable(name('embedding'), rows, width);
  return {
    parameters: [table, ...parameters],
    encode: (context) => encode(context, context.parameter(table.name)),
  };
}

interface Head {
  parameters: AdapterParameter[];
  encode(context: LayerContext, x: tf.Tensor): tf.Tensor;
}

function mlp({ width, hidden }: EncoderSizes): Head {
  const layer = (index: number) => name(`mlp_head.${index}`);
  return {
    parameters: [
      ...linearLayer(layer(0), hidden, width),
      ...linearLayer(layer(2), hidden, hidden),
      ...linearLayer(layer(4), width, hidden),
    ],
    encode(context, x) {
      const first = tf.relu(affine(context, layer(0), x));
      return affine(context, layer(4), tf.relu(affine(context, layer(2), first)));
    },
  };
}

function lstm(config: PTuningConfig, { width, hidden }: EncoderSizes): Head {
  const { encoder_num_layers: layers, encoder_dropout: probability } = config;
  const head = (index: number) => name(`mlp_head.${index}`);
  const parts = (layer: number, suffix: string) =>
    ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'].map((part) =>
      name(`lstm_head.${part}_l${layer}${suffix}`),
    );
  const parameters: AdapterParameter[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const input = layer === 0 ? width : 2 * hidden;
    const shapes = [[4 * hidden, input], [4 * hidden, hidden], [4 * hidden], [4 * hidden]];
    for (const suffix of ['', '_reverse'])
      for (const [i, part] of parts(layer, suffix).entries()) {
        const shape = shapes[i]!;
        parameters.push({ name: part, shape, init: drawn(elementCount(shape), uniform(hidden)) });
      }
  }
  const weights = ({ parameter }: LayerContext, layer: number, suffix: string): LstmWeights => {
    const [input, hidden, inputBias, hiddenBias] = parts(layer, suffix).map(parameter) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    return { input, hidden, inputBias, hiddenBias };
  };
  return {
    parameters: [
      ...parameters,
      ...linearLayer(head(0), 2 * hidden, 2 * hidden),
      ...linearLayer(head(2), width, 2 * hidden),
    ],
    encode(context, x) {
      let states = x;
      for (let layer = 0; layer < layers; layer++) {
        if (layer > 0 && context.random) states = dropout(states, probability, context.random);
        states = bidirectionalLstm(states, weights(context, layer, ''), weights(context, layer, '_reverse'));
      }
      return affine(context, head(2), tf.relu(affine(context, head(0), states)));
    },
  };
}
