import { createHash } from 'node:crypto';
import { requesterOf } from '@graft/service/audit';
import type { NewJob } from '@graft/service/jobs';
import type { Identity } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import type { CreateJobSchema } from '@graft/wire/jobs/fine-tuning-job';
import type { Static } from 'typebox';
import { canonicalJson } from './canonical-json.ts';
import { checkIntegrations } from './check-integrations.ts';
import { checkTraining, type Waiting } from './check-training.ts';
import type { OptionChecker } from './option-checker.ts';

export type CreateJobBody = Static<typeof CreateJobSchema>;

interface Headers {
  idempotencyKey: string | null;
  isRetry: boolean;
}

/** Checks everything about a job request except the content of its files. Throws ApiError or GraftError; writes nothing. */
export async function checkNewJob(
  services: Services,
  checker: OptionChecker,
  caller: Identity,
  body: CreateJobBody,
  headers: Headers,
  reply: Waiting,
): Promise<NewJob> {
  const integrations = await checkIntegrations(services, caller, body.integrations ?? []);
  const checked = await checkTraining(services, checker, caller, body, reply);
  const { baseModel, startFrom, hyperparameters, peft, training, sweep, trials, seed } = checked;
  return {
    ...requesterOf(caller),
    model: baseModel,
    suffix: body.suffix ?? null,
    seed,
    trainingFileId: checked.files.training[0]!.file.id,
    validationFileId: checked.files.validation[0]?.file.id ?? null,
    trainingFiles: checked.trainingFiles,
    validationFiles: checked.validationFiles,
    method: checked.method,
    hyperparameters,
    peft,
    training,
    sweep: sweep && { grid: sweep, peft: body.peft ?? null, trials },
    metadata: body.metadata ?? null,
    priority: body.priority ?? undefined,
    startFrom,
    integrations,
    warnings: checked.warnings.map(({ message }) => message),
    requestHash: createHash('sha256').update(canonicalJson(body)).digest('hex'),
    ...headers,
  };
}
