import { samplingFields } from '@graft/peft-core/config';
import type { GenerationRequest } from '@graft/service/channel';
import type { samplingProperties } from '@graft/wire/sampling';
import type { Static, TObject } from 'typebox';
import { ApiError } from '../api-error.ts';
import type { ApiSettings } from '../settings.ts';

type Sampling = Static<TObject<typeof samplingProperties>>;

/** Sampling parameters of a request to the worker, with OpenAI's defaults, and which of them the model's own settings may override. */
export function samplingOf(
  body: Sampling,
  maxTokens: number | null,
  logprobs: number | null,
  { generationConfig }: Pick<ApiSettings, 'generationConfig'>,
): Omit<GenerationRequest, 'base_model' | 'adapter' | 'messages' | 'prompt'> {
  const { stop } = body;
  const isModels = (body.generation_config ?? generationConfig) === 'model';
  const { top_k, min_p, repetition_penalty, frequency_penalty, presence_penalty, logit_bias } = body;
  const hasBias = logit_bias && Object.keys(logit_bias).length > 0;
  return {
    max_tokens: maxTokens,
    temperature: body.temperature ?? 1,
    top_p: body.top_p ?? 1,
    ...(top_k && top_k > 0 ? { top_k } : {}),
    ...(min_p ? { min_p } : {}),
    ...((repetition_penalty ?? 1) === 1 ? {} : { repetition_penalty: repetition_penalty! }),
    ...(frequency_penalty ? { frequency_penalty } : {}),
    ...(presence_penalty ? { presence_penalty } : {}),
    ...(hasBias ? { logit_bias } : {}),
    model_defaults: isModels ? samplingFields.filter((name) => (body[name] ?? null) === null) : [],
    stop: typeof stop === 'string' ? [stop] : (stop ?? []),
    seed: body.seed ?? null,
    ...(logprobs === null ? {} : { logprobs }),
    ...(body.allow_special_tokens ? { allow_special_tokens: true } : {}),
  };
}

/** Throws `unsupported_parameter` if a parameter has a value that would have an effect. */
export function refuseUnsupported(
  body: Record<string, unknown>,
  unsupported: Record<string, readonly unknown[]>,
): void {
  const asked = Object.entries(unsupported).filter(([name, harmless]) => {
    const value = body[name];
    return value !== undefined && value !== null && !harmless.includes(value) && !isEmpty(value);
  });
  const [first] = asked;
  if (!first) return;
  throw new ApiError(
    'unsupported_parameter',
    asked.map(([name, harmless]) => `Unsupported parameter: '${name}'${only(harmless)}.`).join(' '),
    { param: first[0] },
  );
}

function only(harmless: readonly unknown[]): string {
  return harmless.length > 0 ? ` (only ${harmless.map((value) => JSON.stringify(value)).join(' or ')})` : '';
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
