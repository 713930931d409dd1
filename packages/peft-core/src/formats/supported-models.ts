import { GraftError } from '../errors.ts';
import type { OpenedModel } from './base-model.ts';

/** Names of the tensors that a model cannot do without, for every `model_type` that Graft reads. */
const requiredTensors: Readonly<Record<string, (config: Record<string, unknown>) => Iterable<string>>> = {
  llama: llamaTensors,
};

/** Stored types whose values are weights. */
const weightTypes = /^(F64|F32|F16|BF16|Q\w+)$/;

/** Checks that a model is of a supported kind and complete. Returns its `model_type`. */
export function checkModel({ path, config, tensors }: OpenedModel): string {
  const modelType = config.model_type;
  if (typeof modelType !== 'string' || !Object.hasOwn(requiredTensors, modelType)) {
    const known = Object.keys(requiredTensors).join(', ');
    throw new GraftError(
      'unsupported_model',
      `${path}: model_type ${JSON.stringify(modelType)} is not supported; supported: ${known}`,
      { param: 'model' },
    );
  }
  const present = new Set(tensors.names());
  for (const name of requiredTensors[modelType]!(config)) {
    // Thrown at the first: config.json may claim any number of layers.
    if (!present.has(name)) {
      throw new GraftError('invalid_model', `${path} lacks the tensor "${name}"`, { param: 'model' });
    }
    const { dtype } = tensors.info(name);
    if (!weightTypes.test(dtype)) {
      throw new GraftError(
        'unsupported_dtype',
        `${path}: tensor "${name}" is stored as ${dtype}; weights may be F64, F32, F16 or BF16`,
        { param: 'model' },
      );
    }
  }
  return modelType;
}

function* llamaTensors(config: Record<string, unknown>): Generator<string> {
  yield 'model.embed_tokens.weight';
  yield 'model.norm.weight';
  if (config.tie_word_embeddings !== true) yield 'lm_head.weight';
  for (let layer = 0; layer < Number(config.num_hidden_layers); layer++) {
    for (const part of ['input_layernorm', 'post_attention_layernorm'])
      yield `model.layers.${layer}.${part}.weight`;
    for (const part of ['q', 'k', 'v', 'o']) yield `model.layers.${layer}.self_attn.${part}_proj.weight`;
    for (const part of ['gate', 'up', 'down']) yield `model.layers.${layer}.mlp.${part}_proj.weight`;
  }
}
