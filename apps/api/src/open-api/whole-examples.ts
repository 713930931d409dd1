import { defaultPeft, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { base, fileId, model } from './example-values.ts';

const sampling = { model, max_tokens: 64, temperature: 0.7 };

/** Examples of whole requests whose required fields alone would not show their purpose. */
export const wholeExamples: Record<string, unknown> = {
  // Disabled options are omitted.
  ResolvedTraining: resolveTraining({ peft: parsePeftConfig(defaultPeft), exampleCount: 240 }),
  CreateFineTuningJob: {
    model: base,
    training_file: fileId,
    suffix: 'bikes',
    peft: defaultPeft,
    training: { n_epochs: 3 },
  },
  EstimateFineTuningJob: { model: base, training_file: fileId, peft: defaultPeft, training: { n_epochs: 3 } },
  CloneFineTuningJob: { peft: { ...defaultPeft, r: 32 }, seed: null },
  CreateChatCompletion: {
    ...sampling,
    messages: [{ role: 'user', content: 'Why does my rear brake squeal?' }],
  },
  CreateCompletion: { ...sampling, prompt: 'A rear brake squeals when' },
  AddBaseModel: { id: base, hub: 'HuggingFaceTB/SmolLM2-135M-Instruct', revision: 'main' },
  MoveAdapterTag: { tag: 'production', version: 2, expected_version: 1 },
  CreateApiKey: { name: 'nightly training', role: 'member', scopes: ['jobs:write', 'files:write'] },
  CreateInvitation: { email: 'ada@acme.example', role: 'member' },
  CreateWebhookEndpoint: { url: 'https://hooks.acme.example/graft', events: ['fine_tuning.job.succeeded'] },
  CreateUpload: {
    filename: 'train.jsonl',
    purpose: 'fine-tune',
    bytes: 8_589_934_592,
    mime_type: 'text/jsonl',
  },
  PromoteCheckpoint: { name: 'bikes', note: 'The best by validation loss.' },
  SetAdapterNote: { note: 'For the shop in Lyon.' },
  SetUsagePrice: { kind: 'trained_tokens', model: '*', price: 0.5 },
  CreateDeployTarget: {
    name: 'shop in Lyon',
    runtime: 'vllm',
    url: 'https://vllm.acme.example',
    adapter_id: 'adpt-2f6b4d3851e7c09a',
    tag: 'production',
    model_name: 'support',
    api_key: 'a-key-of-vllm',
    folder: '/adapters',
  },
  UpdateDeployTarget: { keep_seconds: 60 },
  SetIntegration: { url: 'https://mlflow.acme.example', username: 'graft', secret: 'a-password' },
  UpdateTeamQuota: { running_jobs: 4, tokens_per_month: 10_000_000 },
  UpdatePerson: { disabled: true },
};
