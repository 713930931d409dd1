import { tf } from '@graft/tf-graph';
import { dropout } from '../../nn/dropout.ts';
import { bidirectionalLstm, type LstmWeights } from '../../nn/lstm.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { affine, embeddingTable, linearLayer } from '../attach/prompt-layers.ts';
import { drawn, uniform } from '../attach/start-values.ts';
import type { AdapterParameter, LayerContext } from '../tuner.ts';
import type { PTuningConfig } from './method.ts';

export interface EncoderSizes {
  /** Number of virtual tokens. */
  rows: number;
  /** Width of the model. */
  width: number;
  hidden: number;
}

export interface PromptEncoder {
  parameters: AdapterParameter[];
  /** The virtual tokens' embeddings, `(rows, width)`. */
  encode(context: LayerContext): tf.Tensor;
}

const name = (rest: string) => `prompt_encoder.${rest}`;

/** The encoder of P-tuning; parameters have the names of PEFT's PyTorch modules. Source: peft, tuners/p_tuning/model.py. */
export function promptEncoder(config: PTuningConfig, sizes: EncoderSizes): PromptEncoder {
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
