/**
 * Ops that have no deterministic kernel on a GPU: with TF_DETERMINISTIC_OPS=1 they raise Unimplemented, or run on the processor with
 * copies there and back. Source: the messages of TensorFlow 2.21.0's own library ("… is not currently available", "… not available",
 * "Determinism is not yet supported …", "… that would have been executed is not deterministic") and `DoScatterNd` and `DoScatter` of
 * tensorflow/core/kernels.
 */
const raising = [
  'SparseSoftmaxCrossEntropyWithLogits',
  'SoftmaxCrossEntropyWithLogits',
  'Bincount',
  'DenseBincount',
  'RaggedBincount',
  'SparseBincount',
  'Svd',
  'Timestamp',
  'AdjustContrast',
  'AdjustContrastv2',
  'ResizeNearestNeighborGrad',
  'CropAndResizeGradImage',
  'CropAndResizeGradBoxes',
  'MaxPoolGradWithArgmax',
  'Dilation2DBackpropFilter',
  'Dilation2DBackpropInput',
  'DepthwiseConv2dNativeBackpropFilter',
  'FusedBatchNormGrad',
  'FusedBatchNormGradV2',
  'FusedBatchNormGradV3',
  'SparseTensorDenseMatMul',
  'FakeQuantWithMinMaxVarsGradient',
  'FakeQuantWithMinMaxVarsPerChannelGradient',
  'DebugNumericSummaryV2',
];

/** They add up in the order in which threads arrive, or choose the last of several values for one place. */
const scatters =
  /^(Resource)?Scatter(Nd)?(NonAliasing)?(Add|Sub|Mul|Div|Min|Max|Update)?$|^TensorScatter(Add|Sub|Min|Max|Update)$/;
/**
 * Segment sums are deterministic where they have to be, but those of sorted segments wait for the device to report how many there are.
 * UnsortedSegmentSum receives the number, sorts, and then adds in that order (`UnsortedSegmentFunctor` of segment_reduction_ops_gpu.cu.h).
 */
const waiting = /^(Sparse)?Segment(Sum|Mean|SqrtN|Prod|Min|Max)/;

/**
 * Those that write each place once, where the indices differ: the same every time, and TF_DISABLE_SCATTER_OP_DETERMINISM=1 keeps them
 * on the card. Graft writes rows of the cache and trained rows of a table with them; what is written twice is padding, which nobody reads.
 */
const writesOnce = ['ResourceScatterUpdate', 'TensorScatterUpdate'];

export const isNondeterministic = (op: string): boolean =>
  raising.includes(op) || waiting.test(op) || (scatters.test(op) && !writesOnce.includes(op));
