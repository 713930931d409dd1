import { tf } from '@graft/tf-graph';
import type { Architecture, AttentionSite } from '../../models/architecture.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { affine, embeddingTable, linearLayer } from '../attach/prompt-layers.ts';
import { savedModules } from '../attach/saved-modules.ts';
import { constant } from '../attach/start-values.ts';
import { PROMPT } from '../file-tensors.ts';
import type {
  AdapterParameter,
  Attachment,
  AttachmentForm,
  KeyValuePrefix,
  LayerContext,
  Tuner,
} from '../tuner.ts';
import { type PrefixTuningConfig, prefixSizes, prefixTuningMethod, prefixWidth } from './method.ts';

/** Trained keys and values before those of every sequence. Options, names and start values follow peft's PrefixTuningConfig. */
export const prefixTuningTuner: Tuner<PrefixTuningConfig> = { keyPrefix: '', attach };

function attach(config: PrefixTuningConfig, model: Architecture, form: AttachmentForm): Attachment {
  prefixTuningMethod.check(config, model);
  const saved = savedModules(config, model, 'base_model.');
  const encoder = form === 'trained' && config.prefix_projection ? projection(config, model) : null;
  return {
    parameters: [...(encoder?.parameters ?? [prefixTable(config, model)]), ...saved.parameters],
    ...(encoder ? { derive: (context) => new Map([[PROMPT, encoder.encode(context)]]) } : {}),
    replacements: saved.replacements,
    sharedByBlocks: [PROMPT, ...saved.parameters.map(({ name }) => name)],
    prefix: (context, site) => prefixOf(context, site, config.num_virtual_tokens, model),
    prefixLength: config.num_virtual_tokens,
    written: { ...config, ...prefixSizes(model), encoder_hidden_size: hiddenSizeOf(config, model) },
  };
}

/** Hidden size of the projection's encoder. */
const hiddenSizeOf = (config: PrefixTuningConfig, { kvHeads, headSize }: Architecture) =>
  config.encoder_hidden_size ?? kvHeads * headSize;

/** `(n, layers · 2 · kvHeads · D)` */
function prefixTable(config: PrefixTuningConfig, model: Architecture): AdapterParameter {
  const [rows, width] = [config.num_virtual_tokens, prefixWidth(model)];
  const table = embeddingTable(PROMPT, rows, width);
  const init = config.init_weights === 'zero' ? constant(rows * width, 0) : table.init;
  return { ...table, name: PROMPT, init };
}

/** A narrow table and two layers with a tanh between them. Source: peft, tuners/prefix_tuning/model.py. */
function projection(config: PrefixTuningConfig, model: Architecture) {
  const width = model.kvHeads * model.headSize;
  const hidden = hiddenSizeOf(config, model);
  const name = (rest: string) => `prompt_encoder.${rest}`;
  const table = embeddingTable(name('embedding'), config.num_virtual_tokens, width);
  const last = linearLayer(name('transform.2'), prefixWidth(model), hidden);
  const start = (p: AdapterParameter) =>
    config.init_weights === 'zero' ? { ...p, init: constant(elementCount(p.shape), 0) } : p;
  return {
    parameters: [table, ...linearLayer(name('transform.0'), hidden, width), ...last.map(start)],
    encode(context: LayerContext) {
      const inner = affine(context, name('transform.0'), context.parameter(table.name));
      return affine(context, name('transform.2'), tf.tanh(inner));
    },
  };
}

/** One layer's part of the prompt: a row holds each layer's key, then its value, head after head. */
function prefixOf(
  { parameter }: LayerContext,
  { layer }: Pick<AttentionSite, 'layer'>,
  count: number,
  { task, layers, kvHeads, headSize }: Architecture,
): KeyValuePrefix {
  // For an encoder-decoder PEFT repeats all layers twice and splits them into groups of four, of which two are used: decoder block i
  // gets the keys of layer 2i modulo the number of layers (peft_model.py, get_prompt).
  const source = task === 'SEQ_2_SEQ_LM' ? (2 * layer) % layers : layer;
  const width = kvHeads * headSize;
  const part = (index: number) => {
    const flat = tf.slice(parameter(PROMPT), [0, index * width], [count, width]);
    return tf.transpose(tf.reshape(flat, [count, kvHeads, headSize]), [1, 0, 2]); // (kvHeads, n, D)
  };
  return { keys: part(2 * source), values: part(2 * source + 1) };
}
