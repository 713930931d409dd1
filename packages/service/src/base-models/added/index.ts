/** Base models that operators add, and who may use a base model. */

export { admitBaseModel, forgetBaseModel } from '../admit-base-model.ts';
export type { AddedModel } from './added-model.ts';
export * from './manage-added-models.ts';
export { startModelFetcher } from './model-fetcher.ts';
export { type AccessChange, changeModelAccess, type ModelAccess, readAccess } from './model-permissions.ts';
