/** Base-model functions for the trainer and the local commands: they need no Postgres and no queue. */

export { cacheFolder, digestFolder } from '../environment/cache-folder.ts';
export { baseModelFault, isLastingModelFault } from './base-model-fault.ts';
export { listBaseModels } from './list-base-models.ts';
