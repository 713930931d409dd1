/** Chat models of the Hugging Face Hub to add first: for errors and docs/from-openai.md. */

export interface SuggestedModel {
  /** Id to add the model under. */
  id: string;
  /** Id on the Hugging Face Hub. */
  hub: string;
  /** GB (10⁹ bytes) to train it on a CPU with nf4 weights and 2048 tokens. test/repository/base-models-doc.test.ts compares it. */
  trainingGb: number;
  /** Its chat template reads tools. */
  tools: boolean;
  languages: string;
  licence: string;
  /** Models of OpenAI that it replaces in a first try. */
  replaces: readonly string[];
}

const qwen = { tools: true, languages: 'over 100 languages', licence: 'Apache 2.0', replaces: [] };
const llama = { tools: true, languages: '8 languages', replaces: [] };

/** By ascending size. Languages and licences as the models' pages on the Hub state them. */
export const suggestedModels: readonly SuggestedModel[] = [
  {
    id: 'smollm2-360m',
    hub: 'HuggingFaceTB/SmolLM2-360M-Instruct',
    trainingGb: 1.4,
    tools: false,
    languages: 'English',
    licence: 'Apache 2.0',
    replaces: [],
  },
  { ...qwen, id: 'qwen3-0.6b', hub: 'Qwen/Qwen3-0.6B', trainingGb: 1.9 },
  {
    ...qwen,
    id: 'qwen2.5-1.5b',
    hub: 'Qwen/Qwen2.5-1.5B-Instruct',
    trainingGb: 3.1,
    languages: '29 languages',
    replaces: ['gpt-4.1-nano', 'gpt-3.5-turbo'],
  },
  {
    ...qwen,
    id: 'qwen3-4b',
    hub: 'Qwen/Qwen3-4B-Instruct-2507',
    trainingGb: 6.1,
    replaces: ['gpt-4o-mini', 'gpt-4.1-mini'],
  },
  {
    ...llama,
    id: 'llama-3.1-8b',
    hub: 'meta-llama/Llama-3.1-8B-Instruct',
    trainingGb: 9.7,
    licence: 'Llama 3.1',
  },
  { ...qwen, id: 'qwen3-8b', hub: 'Qwen/Qwen3-8B', trainingGb: 10.3 },
  { ...qwen, id: 'qwen3-14b', hub: 'Qwen/Qwen3-14B', trainingGb: 15.8, replaces: ['gpt-4o', 'gpt-4.1'] },
  { ...qwen, id: 'qwen3-32b', hub: 'Qwen/Qwen3-32B', trainingGb: 29.3 },
  {
    ...llama,
    id: 'llama-3.3-70b',
    hub: 'meta-llama/Llama-3.3-70B-Instruct',
    trainingGb: 56.2,
    licence: 'Llama 3.3',
  },
];

/** Finds the suggestion for a model that a request names: by Hub id, by id, or as a model of OpenAI with or without its date. */
export function findSuggestion(name: string): SuggestedModel | undefined {
  const plain = name.toLowerCase().replace(/-\d{4}(-\d{2}-\d{2})?$/, '');
  return suggestedModels.find(
    ({ id, hub, replaces }) =>
      hub.toLowerCase() === name.toLowerCase() || id === plain || replaces.includes(plain),
  );
}
