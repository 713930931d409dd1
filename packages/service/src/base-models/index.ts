/** Base-model functions for the trainer and the local commands: they need no Postgres and no queue. */

export { cacheFolder, digestFolder } from '../environment/cache-folder.ts';
export * from './base-model-fault.ts';
export {
  type BaseModelEntry,
  type ConfiguredEntry,
  checkPermitted,
  hubIdOf,
  type LocalBaseModel,
} from './catalogue.ts';
export { listBaseModels } from './list-base-models.ts';
