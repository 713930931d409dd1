export type { AdapterFile, ArtifactStore } from './artifact-store.ts';
export * from './checkpoint-store.ts';
export * from './disk/copy-untrusted.ts';
export { fsyncFolder, makeFolder } from './disk/fsync-folder.ts';
export * from './disk/receive-staged.ts';
export * from './disk/remove-below.ts';
export type { FileStore } from './file-store.ts';
export { checkOwnDataFolder, probeDataFolder } from './prove-data-folder.ts';
export { isStorageUnavailable, toStorageFault } from './storage-fault.ts';
