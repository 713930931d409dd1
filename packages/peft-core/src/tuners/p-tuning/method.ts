import { type Static, Type } from 'typebox';
import type { ModelOutline } from '../../outlines/outline.ts';
import { configFault, type Fault } from '../../schema/check-fields.ts';
import { dropoutProbability } from '../../schema/schema-parts.ts';
import { countOf, promptTensors, savedTensors } from '../file-tensors.ts';
import type { Method } from '../method.ts';
import {
  affineSize,
  checkVirtualTokens,
  encoderHiddenSize,
  promptFields,
  promptRows,
} from '../soft-prompt.ts';

/** P-tuning, with the names and defaults of HF PEFT 0.21's PromptEncoderConfig. */
const PTuningConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('P_TUNING', { description: 'The PEFT method.' }),
    ...promptFields,
    encoder_reparameterization_type: Type.Enum(['MLP', 'LSTM'], {
      type: 'string',
      default: 'MLP',
      description:
        'The encoder: three linear layers with ReLU between, or a bidirectional LSTM with two linear layers after it.',
    }),
    encoder_hidden_size: encoderHiddenSize,
    encoder_num_layers: Type.Integer({
      minimum: 1,
      maximum: 16,
      default: 2,
      description: 'Layers of the LSTM; the MLP has its own.',
    }),
    encoder_dropout: dropoutProbability(
      "Probability that a value between two of the LSTM's layers is dropped during training.",
    ),
  },
  {
    $id: 'PTuningConfig',
    description:
      'Embeddings before every sequence, trained through an encoder. Source: Liu et al. 2021, arXiv:2103.10385.',
  },
);

export type PTuningConfig = Static<typeof PTuningConfigSchema>;

export const pTuningMethod: Method<PTuningConfig> = {
  title: 'P-tuning',
  when: 'A few virtual tokens before every input, trained through an encoder that makes training steadier and is left behind when the adapter is saved.',
  paper: 'https://arxiv.org/abs/2103.10385',
  library: 'HF PEFT',
  usual: { num_virtual_tokens: 20, encoder_hidden_size: 128 },
  trials: {
    languageModel: { options: { num_virtual_tokens: 20, encoder_hidden_size: 128 }, epochs: 6, margin: 30 },
  },
  schema: PTuningConfigSchema,
  unimplemented: {},
  idle: idleFaults,
  learningRate: () => 5e-3,
  // The encoder starts with random values. With the default warmup no single rate suited both tasks of scripts/sweep.
  warmupShare: 0.15,
  /** Throws `invalid_peft_config`, `target_modules_not_found`. */
  check: checkVirtualTokens,
  unmergeable: () => 'virtual tokens stand before the text, where no weight of the base model is',
  leadingPositions: ({ num_virtual_tokens }) => ({ virtualTokens: num_virtual_tokens, prefixLength: 0 }),
  trainedParameters: (config, model) =>
    encoderSize(config, model) + countOf(savedTensors(config, model).tensors),
  fileTensors: (config, model) => promptTensors([promptRows(config, model), model.hiddenSize], config, model),
  tensorNames: ['prompt'],
  floats: ['encoder_dropout'],
};

/** Number of parameters of `promptEncoder` in tuner.ts. */
function encoderSize(config: PTuningConfig, model: ModelOutline): number {
  const { encoder_hidden_size, encoder_num_layers: layers, encoder_reparameterization_type: type } = config;
  const width = model.hiddenSize;
  const hidden = encoder_hidden_size ?? width;
  const table = promptRows(config, model) * width;
  if (type === 'MLP')
    return table + affineSize(hidden, width) + affineSize(hidden, hidden) + affineSize(width, hidden);
  let lstm = 0;
  for (let layer = 0; layer < layers; layer++) {
    const input = layer === 0 ? width : 2 * hidden;
    // Two directions, each with PyTorch's two biases.
    lstm += 2 * (affineSize(4 * hidden, input) + affineSize(4 * hidden, hidden));
  }
  return table + lstm + affineSize(2 * hidden, 2 * hidden) + affineSize(width, 2 * hidden);
}

/** HF PEFT only warns of the first two, and PyTorch of the last. */
function idleFaults(given: Record<string, unknown>): Fault[] {
  const {
    encoder_reparameterization_type: type = 'MLP',
    encoder_num_layers: layers = 2,
    encoder_dropout: dropout = 0,
  } = given as Partial<PTuningConfig>;
  const faults: Fault[] = [];
  if (type === 'MLP') {
    const only = 'is for encoder_reparameterization_type LSTM, and it is MLP; set that, or leave this out';
    if (layers !== 2) faults.push(configFault('encoder_num_layers', only));
    if (dropout !== 0) faults.push(configFault('encoder_dropout', only));
  } else if (layers === 1 && dropout !== 0)
    faults.push(configFault('encoder_dropout', 'drops between layers, and encoder_num_layers is 1'));
  return faults;
}
