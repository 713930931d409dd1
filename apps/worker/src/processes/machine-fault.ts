import { type CardFaultCode, cardFaultIn } from '../faults/card-fault.ts';

/**
 * Whether an error says that this machine cannot do its work, whatever the work: its disk or shared folder is broken, full or
 * closed to it, or it has no file handles or processes left. That a file is missing or that memory ran out says nothing of the kind:
 * the job may be at fault.
 */
export function isMachineFault(error: unknown): boolean {
  return causesOf(error).some(({ code }) => code !== undefined && machineCodes.has(code));
}

/** What a GPU or its driver has failed with, in words of CUDA, cuDNN and TensorFlow; null: nothing of the kind. */
export function cardFaultBehind(error: unknown): CardFaultCode | null {
  for (const { message } of causesOf(error)) {
    const code = cardFaultIn(message);
    if (code) return code;
  }
  return null;
}

/** TensorFlow's status of an allocation that failed, on a card or a processor. */
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
