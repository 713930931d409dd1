/** Models and adapters on disk: open, read and write. Loads no TensorFlow. */

export {
  type CombinationRequest,
  type CombinationSource,
  type CombinedAdapters,
  combineAdapters,
} from './adapter-combinations/combine-adapters.ts';
export type { Adapter, AdapterToWrite } from './adapter-files/adapter.ts';
export type { AdapterCard, QuantisedBase } from './adapter-files/adapter-card.ts';
export {
  readAdapter,
  rewriteAdapterConfig,
  writeAdapter,
  writeServedLoss,
} from './adapter-files/adapter-files.ts';
export {
  adapterFileLimits,
  type CheckedAdapter,
  checkAdapterFiles,
} from './adapter-files/check-adapter-files.ts';
export { checkWrittenAdapter, maxAdapterFileBytes } from './adapter-files/check-written-adapter.ts';
export type { BaseModel } from './base-model/base-model.ts';
export { endTokens, withTurnEnds } from './base-model/end-tokens.ts';
export { modelDigest, rehashWeights } from './base-model/model-digest.ts';
export { inspectModel, type ModelReport } from './base-model/model-report.ts';
export { describeMatch } from './base-model/nearest-family.ts';
export { openBaseModel } from './base-model/open-base-model.ts';
export { readSentencePooling, sequencePooling, writeSentenceFiles } from './base-model/sentence-pooling.ts';
export { readSentencePrompts, type SentencePrompts } from './base-model/sentence-prompts.ts';
export { checkScoreTask, checkWritingTask } from './base-model/serving-tasks.ts';
export {
  type ModelFolder,
  type ModelTensor,
  untiedFields,
  writeModelFolder,
} from './base-model/write-model-folder.ts';
export { buildOnce } from './hub/build-once.ts';
export { checkSpace } from './hub/check-space.ts';
export { withHubHeaders } from './hub/fetch-headers.ts';
export { fetchHubDataset } from './hub/hub-dataset.ts';
export { chooseFiles, type HubFile } from './hub/hub-files.ts';
export { fetchHubModel, findHubCommit } from './hub/hub-model.ts';
export { type OpenedHubDataset, openHubDataset } from './hub/open-hub-dataset.ts';
export {
  ensurePackagedModel,
  type HubModel,
  type ModelPackage,
  packagedModels,
} from './hub/packaged-models.ts';
export { type HubDataset, isHubDataset, parseHubDataset } from './hub/parse-hub-dataset.ts';
export {
  checkRepositoryName,
  type HubAccess,
  hubEndpoint,
  type PublishedFolder,
  publishFolder,
} from './hub/publish/publish-folder.ts';
export { readLicense } from './hub/publish/read-license.ts';
export { type BaseModelSpec, resolveBaseModel } from './hub/resolve-base-model.ts';
export type { ResolveOptions } from './hub/resolve-options.ts';
export { readAllTensors, readSafetensors, type SafetensorsFile } from './safetensors/safetensors.ts';
export { type TensorToWrite, type WrittenFile, writeSafetensors } from './safetensors/write-safetensors.ts';
export type { HostTensor, TensorInfo, TensorSource } from './tensors/tensor-source.ts';
