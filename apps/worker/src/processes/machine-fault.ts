import { type CardFaultCode, cardFaultIn } from '../faults/card-fault.ts';

/**
 * Whether an error means that this machine cannot work on any job: its disk or shared folder is broken, full or inaccessible, or it has
 * run out of file handles or processes. A missing file, or running out of memory, does not count, because the job may be at fault.
 */
export function isMachineFault(error: unknown): boolean {
  return causesOf(error).some(({ code }) => code !== undefined && machineCodes.has(code));
}

/** The fault of a GPU or its driver, by the messages of CUDA, cuDNN and TensorFlow; null where there is none. */
export function cardFaultBehind(error: unknown): CardFaultCode | null {
  for (const { message } of causesOf(error)) {
    const code = cardFaultIn(message);
    if (code) return code;
  }
  return null;
}

/** Whether an allocation failed, on a card or on the CPU. */
export function ranOutOfMemory(error: unknown): boolean {
  return causesOf(error).some(
    ({ code, message }) => code === 'RESOURCE_EXHAUSTED' || /CUDA_ERROR_OUT_OF_MEMORY/.test(message),
  );
}

function causesOf(error: unknown): NodeJS.ErrnoException[] {
  const causes: NodeJS.ErrnoException[] = [];
  for (let cause = error; cause instanceof Error && causes.length < 5; cause = cause.cause)
    causes.push(cause);
  return causes;
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
