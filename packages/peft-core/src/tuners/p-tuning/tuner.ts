import type { Architecture } from '../../models/architecture.ts';
import { virtualTokenEmbedding } from '../attach/prompt-layers.ts';
import { savedModules } from '../attach/saved-modules.ts';
import { constant } from '../attach/start-values.ts';
import { PROMPT } from '../file-tensors.ts';
import { promptRows, virtualTokenSizes } from '../soft-prompt.ts';
import type { AdapterParameter, Attachment, AttachmentForm, Tuner } from '../tuner.ts';
import { promptEncoder } from './encoder.ts';
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
