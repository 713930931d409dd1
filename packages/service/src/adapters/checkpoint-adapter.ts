import { type PeftConfig, publishedPeft } from '@graft/peft-core/config';
import type { Prisma } from '../generated/client.ts';
import type { AdapterFile, StoredArtifact } from '../storage/artifact-store.ts';

/** Metrics of one training step; null where a metric was not measured. */
export interface StepMetrics {
  trainLoss?: number | null;
  trainTokenAccuracy?: number | null;
  validationLoss?: number | null;
  validationTokenAccuracy?: number | null;
}

/** Adapter saved at a training step: it can be called, downloaded and promoted to a version. */
export interface CheckpointAdapter extends StoredArtifact {
  id: string;
  teamId: string;
  jobId: string;
  step: number;
  /** `{the job's model}:ckpt-step-{step}`: requests use it as `model`. */
  modelName: string;
  /** Catalogue id. */
  baseModel: string;
  /** True for the best checkpoint among the evaluations so far, by the job's `metric_for_best_model`. */
  isBest: boolean;
  peft: PeftConfig;
  /** System message of the job's training file. */
  systemPrompt: string | null;
  lineage: Record<string, unknown>;
  metrics: StepMetrics & {
    /** Metrics on the validation data, keyed by their names in the API. */
    validation?: Record<string, number>;
    trainedTokens?: number;
  };
  createdAt: Date;
  verifiedAt: Date | null;
  corruptAt: Date | null;
}

/** Prisma arguments for a row that `checkpointAdapterOf` accepts. */
export const withJob = {
  include: { job: { select: { model: true, peft: true, systemPrompt: true } } },
} as const;

/** Condition for visible checkpoints: they are hidden while the model of their job is deleted, and restored with it. */
export const liveCheckpoints = {
  job: { OR: [{ adapterVersion: null }, { adapterVersion: { deletedAt: null } }] },
} satisfies Prisma.CheckpointAdapterWhereInput;

export function checkpointAdapterOf(
  row: Prisma.CheckpointAdapterGetPayload<typeof withJob>,
): CheckpointAdapter {
  const { job, bytes, files, lineage, metrics, ...columns } = row;
  return {
    ...columns,
    baseModel: job.model,
    systemPrompt: job.systemPrompt,
    peft: publishedPeft(job.peft as unknown as PeftConfig),
    bytes: Number(bytes),
    files: files as unknown as AdapterFile[],
    lineage: lineage as CheckpointAdapter['lineage'],
    metrics: metrics as CheckpointAdapter['metrics'],
  };
}

export function checkpointModelName(modelName: string, step: number): string {
  return `${modelName}:ckpt-step-${step}`;
}
