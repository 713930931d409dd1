/**
 * Whether an error says that this machine cannot do its work, whatever the work: its disk or shared folder is broken, full or
 * closed to it, it has no file handles or processes left, or its GPU or the GPU's driver has failed. That a file is missing or
 * that memory ran out says nothing of the kind: the job may be at fault.
 */
export function isMachineFault(error: unknown): boolean {
  for (
    let cause: unknown = error, depth = 0;
    cause instanceof Error && depth < 5;
    cause = cause.cause, depth++
  ) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined && machineCodes.has(code)) return true;
    if (gpuFaults.test(cause.message)) return true;
  }
  return false;
}

const machineCodes = new Set([
  ...[
    'EIO',
    'ENOSPC',
    'EDQUOT',
    'EACCES',
    'EPERM',
    'EROFS',
    'ESTALE',
    'ENOTCONN',
    'EHOSTDOWN',
    'ENODEV',
    'ENXIO',
  ],
  ...['EMFILE', 'ENFILE', 'EAGAIN', 'EREMOTEIO', 'EUCLEAN'],
]);

/** As CUDA, cuDNN and TensorFlow word them, but for memory that ran out. */
const gpuFaults =
  /CUDA_ERROR_(?!OUT_OF_MEMORY)\w+|CUDNN_STATUS_(?!ALLOC_FAILED)\w+|CUBLAS_STATUS_(?!ALLOC_FAILED)\w+|failed call to cuInit|no CUDA-capable device|uncorrectable ECC|GPU is lost|driver version is insufficient/;
