import type { PeftConfig } from '@graft/peft-core/config';
import type { Prisma } from '../generated/client.ts';
import type { AdapterFile } from '../storage/artifact-store.ts';

/** What a step of training measured; null where it was not. */
export interface StepMetrics {
  trainLoss?: number | null;
  trainTokenAccuracy?: number | null;
  validationLoss?: number | null;
  validationTokenAccuracy?: number | null;
}

/** The adapter of a step along the way: it can be called and downloaded, and made a version. */
export interface CheckpointAdapter {
  id: string;
  teamId: string;
  jobId: string;
  step: number;
  /** `{the job's model}:ckpt-step-{step}`, what requests name as `model`. */
  modelName: string;
  /** Catalogue id. */
  baseModel: string;
  /** Of the evaluations until then, by the job's `metric_for_best_model`. */
  isBest: boolean;
  digest: string;
  /** Name in the artifact store. */
  artifact: string;
  bytes: number;
  files: AdapterFile[];
  peft: PeftConfig;
  /** Of the job's training file. */
  systemPrompt: string | null;
  lineage: Record<string, unknown>;
  metrics: StepMetrics & {
    /** Measures on validation data, by their names on the wire. */
    validation?: Record<string, number>;
    trainedTokens?: number;
  };
  createdAt: Date;
  verifiedAt: Date | null;
  corruptAt: Date | null;
}

/** What `checkpointAdapterOf` needs of Prisma. */
export const withJob = {
  include: { job: { select: { model: true, peft: true, systemPrompt: true } } },
} as const;

/** Those that are there for all to use: a job's go when its model is deleted, and come back with it. */
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
    peft: job.peft as unknown as PeftConfig,
    bytes: Number(bytes),
    files: files as unknown as AdapterFile[],
    lineage: lineage as CheckpointAdapter['lineage'],
    metrics: metrics as CheckpointAdapter['metrics'],
  };
}

/** The name that the adapter of a step has as a model. */
export function checkpointModelName(modelName: string, step: number): string {
  return `${modelName}:ckpt-step-${step}`;
}
