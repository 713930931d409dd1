import { type SamplingField, samplingFields } from '../../schema/sampling-fields.ts';

const between = (least: number, most: number) => (value: number) => value >= least && value <= most;

/** Valid values of each field in a model's file: transformers' own range. Other values are ignored. */
const isRight: Record<SamplingField, (value: number) => boolean> = {
  temperature: between(0, 100),
  top_p: (value) => value > 0 && value <= 1,
  top_k: (value) => Number.isInteger(value) && value >= 0,
  min_p: between(0, 1),
  repetition_penalty: between(0.01, 100),
};

/**
 * The sampling defaults of a model's generation_config.json. `do_sample: false` is a temperature of 0; if the file
 * lacks `do_sample`, as most do, the other fields apply anyway, as in vLLM.
 */
export function modelDefaults(
  generationConfig: Record<string, unknown> | null,
): Partial<Record<SamplingField, number>> {
  const given = samplingFields.flatMap((name) => {
    const value = generationConfig?.[name];
    return typeof value === 'number' && isRight[name](value) ? [[name, value] as const] : [];
  });
  return {
    ...Object.fromEntries(given),
    ...(generationConfig?.do_sample === false ? { temperature: 0 } : {}),
  };
}
