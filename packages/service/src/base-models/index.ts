/** What the trainer and the command's local verbs need of base models: no Postgres, no queue. */

export { cacheFolder, digestFolder } from '../environment/cache-folder.ts';
export { baseModelFault, isLastingModelFault } from './base-model-fault.ts';
export { listBaseModels } from './list-base-models.ts';
