import type { ModelOutline } from '../../outlines/outline.ts';
import { optionError } from '../../schema/check-fields.ts';
import { isAllLinear } from '../target-modules.ts';
import type { LoraConfig } from './config.ts';
import type { ExpertTarget, LoraTarget } from './targets.ts';

/**
 * Checks an activated LoRA, which is active from the last occurrence of its invocation tokens in a sequence on, the first of them included.
 * Everything before is the base model's, so that caches of its keys and values can be shared. Throws `invalid_peft_config` for models that
 * write no text, for ids that the model lacks, and for targets other than linear layers before the output layer.
 * Sources: Greenewald et al. 2025, arXiv:2504.12397; peft 0.21.2, tuners/lora/variants.py (ALoraLinearVariant).
 */
export function checkActivation(
  { alora_invocation_tokens: tokens }: LoraConfig,
  model: ModelOutline,
  { targets, experts }: { targets: LoraTarget[]; experts: ExpertTarget[] },
): void {
  if (!tokens) return;
  if (model.task !== 'CAUSAL_LM')
    throw optionError(
      'alora_invocation_tokens',
      `is for models that write text, and this one is for ${model.task}; leave it out`,
    );
  const stray = tokens.find((id) => id >= model.vocabularySize);
  if (stray !== undefined)
    throw optionError(
      'alora_invocation_tokens',
      `${stray} is not a token id; ids are 0…${model.vocabularySize - 1}`,
    );
  const other = targets.find((target) => target.isRouter || !isAllLinear(target)) ?? experts[0];
  if (!other) return;
  const remedy = model.routing ? 'target_parameters [] leaves out experts and routers' : 'leave it out';
  throw optionError(
    'target_modules',
    `with alora_invocation_tokens only linear layers before the output layer are adapted, not ${other.name}; ${remedy}`,
  );
}
