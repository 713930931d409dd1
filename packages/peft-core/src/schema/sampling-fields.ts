/** Fields of a request, and of generation_config.json, that control how tokens are chosen. */
export const samplingFields = ['temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty'] as const;
export type SamplingField = (typeof samplingFields)[number];
