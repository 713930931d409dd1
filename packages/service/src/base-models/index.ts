/** What the trainer and the command's local verbs need of base models: no Postgres, no queue. */
export { baseModelFault, isLastingModelFault } from './base-model-fault.ts';
export { cacheFolder, digestFolder } from './cache-folder.ts';
export { listBaseModels } from './list-base-models.ts';
