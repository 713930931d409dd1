import { createHash } from 'node:crypto';
import type {
  Adapter,
  AdapterVersion,
  FileObject,
  JobCheckpoint,
  JobEvent,
  JobMetric,
  Model,
} from '@graft/client';
import { parsePeftConfig } from '@graft/peft-core/config';

export const adapterFiles = {
  'adapter_config.json': '{"peft_type":"LORA"}',
  'adapter_model.safetensors': 'x'.repeat(5_000),
  'README.md': '# An adapter',
};
export const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest();

export const file: FileObject = {
  id: 'file-1',
  object: 'file',
  bytes: 14,
  created_at: 1_700_000_000,
  filename: 'one.jsonl',
  purpose: 'fine-tune',
  status: 'processed',
  expires_at: null,
  status_details: null,
  sha256: 'ab',
  format: 'text',
  examples: 1,
  columns: null,
};
export const baseModel: Model = {
  id: 'base',
  object: 'model',
  created: 1,
  owned_by: 'graft',
  base_model: null,
  hub: null,
  task_type: null,
  adapter: null,
  job: null,
  alias_of: null,
};
export const tunedModel: Model = {
  ...baseModel,
  id: 'ft:base:team:demo:abc',
  owned_by: 'team_1',
  base_model: 'base',
  adapter: { id: 'adpt_1', version: 1 },
  job: 'ftjob-1',
};
export const adapter: Adapter = {
  id: 'adpt_1',
  object: 'adapter',
  created_at: 1_700_000_000,
  name: 'demo',
  base_model: 'base',
  latest_version: 1,
  tags: [],
  note: null,
};
export const version: AdapterVersion = {
  id: 'adptv_1',
  object: 'adapter.version',
  created_at: 1_700_000_000,
  adapter_id: 'adpt_1',
  adapter_name: 'demo',
  version: 1,
  model: tunedModel.id,
  base_model: 'base',
  fine_tuning_job_id: 'ftjob-1',
  parent_id: null,
  source_ids: [],
  tags: [],
  note: null,
  digest: sha256('digest').toString('hex'),
  bytes: Object.values(adapterFiles).reduce((sum, content) => sum + content.length, 0),
  files: Object.entries(adapterFiles).map(([path, content]) => ({
    path,
    bytes: content.length,
    sha256: sha256(content).toString('hex'),
  })),
  peft: parsePeftConfig({ peft_type: 'LORA' }),
  system_prompt: null,
  lineage: {},
  metrics: null,
  runtimes: ['graft', 'peft'],
  download_path: '/v1/adapters/adpt_1/versions/1/download',
};

export const checkpoint = (step: number, available = true, best = false): JobCheckpoint => ({
  object: 'fine_tuning.job.checkpoint',
  id: `ftckpt_${step}`,
  created_at: 1_700_000_000,
  fine_tuned_model_checkpoint: `${tunedModel.id}:ckpt-step-${step}`,
  fine_tuning_job_id: 'ftjob-1',
  step_number: step,
  available,
  best,
  seconds: null,
  bytes: version.bytes,
  digest: available ? version.digest : null,
  files: available ? version.files : [],
  metrics: { step, train_loss: 1 / step, valid_loss: 2 / step },
});

export const event = (number: number): JobEvent => ({
  id: `ftevent-${number}`,
  object: 'fine_tuning.job.event',
  created_at: 1_700_000_000,
  level: number === 2 ? 'warn' : 'info',
  message: `Message ${number}`,
  type: 'message',
  data: {},
});

export const metric = (kind: JobMetric['kind'], step: number, loss: number): JobMetric => ({
  object: 'fine_tuning.job.metric',
  kind,
  step,
  epoch: step / 2,
  loss,
  metrics: { token_accuracy: 0.5, ...(kind === 'evaluation' && { perplexity: Math.exp(loss) }) },
  token_accuracy: 0.5,
  learning_rate: 2e-4,
  grad_norm: 1,
  tokens: step * 100,
  tokens_per_second: 1_532,
  memory_bytes: 1_540_000_000,
  trial: null,
  trial_step: null,
  created_at: 1_700_000_000,
});
