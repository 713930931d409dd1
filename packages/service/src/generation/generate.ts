import {
  type GenerationEvent,
  GenerationLineSchema,
  type GenerationRequest,
  generationPath,
  modelDefaultsHeader,
  reasoningHeader,
} from '../channel/protocol.ts';
import {
  type ScoringEvent,
  ScoringLineSchema,
  type ScoringRequest,
  scoringPath,
} from '../channel/score-protocol.ts';
import type { PickedWorker } from '../workers/worker-registry.ts';
import { askWorkers, type GenerationServices } from './ask-workers.ts';

export async function generate(
  services: GenerationServices,
  { model_defaults = [], separate_reasoning = false, ...body }: GenerationRequest,
  options: { waitMs: number; signal: AbortSignal; first?: PickedWorker | null },
): Promise<AsyncGenerator<GenerationEvent>> {
  const headers = {
    ...(separate_reasoning ? { [reasoningHeader]: '1' } : {}),
    ...(model_defaults.length > 0 ? { [modelDefaultsHeader]: model_defaults.join(',') } : {}),
  };
  const call = { path: generationPath, body, headers };
  return await askWorkers(
    services,
    { baseModel: body.base_model, call, line: GenerationLineSchema },
    options,
  );
}

/** Lets a worker compute vectors or classes, as `askWorkers` describes. */
export async function scoreOnWorker(
  services: GenerationServices,
  body: ScoringRequest,
  options: { waitMs: number; signal: AbortSignal },
): Promise<AsyncGenerator<ScoringEvent>> {
  const call = { path: scoringPath, body, headers: {} };
  return await askWorkers(
    services,
    { baseModel: body.base_model, call, line: ScoringLineSchema, isNewPath: true },
    options,
  );
}
