export type { Adapter, AdapterTag, AdapterVersion } from './adapter.ts';
export { isTag, listTags, moveTag, removeTag } from './adapter-tags.ts';
export type { CheckpointAdapter } from './checkpoint-adapter.ts';
export * from './checkpoint-adapters.ts';
export * from './compare-versions.ts';
export {
  deleteFineTunedModel,
  deleteVersions,
  listDeletedVersions,
  restorableUntil,
  restoreVersion,
} from './delete-adapters.ts';
export * from './model-aliases.ts';
export * from './notes.ts';
export * from './publish-upload.ts';
export * from './read-adapters.ts';
export * from './read-lineage.ts';
