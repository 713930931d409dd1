/** Models and adapters on disk: open, read and write. Loads no TensorFlow. */

export { ensurePackagedModel, type ModelPackage, packagedModels } from '../hub/packaged-models.ts';
export { type BaseModelSpec, type ResolveOptions, resolveBaseModel } from '../hub/resolve-base-model.ts';
export type { AdapterCard } from './adapter-card.ts';
export {
  type Adapter,
  type AdapterTensor,
  type AdapterToWrite,
  readAdapter,
  writeAdapter,
} from './adapter-files.ts';
export type { BaseModel, TokenizerFiles } from './base-model.ts';
export { openBaseModel } from './model-files.ts';
export { type ModelFolder, type ModelTensor, untiedFields, writeModelFolder } from './model-folder.ts';
export { readSafetensors, type SafetensorsFile } from './safetensors.ts';
export { copySentencePooling, readSentencePooling, type SentencePooling } from './sentence-pooling.ts';
export type { TensorInfo, TensorSource } from './tensor-source.ts';
export { type TensorToWrite, type WrittenFile, writeSafetensors } from './write-safetensors.ts';
