import { GraftError, shortened } from '@graft/peft-core/config';
import { baseModelFault, isLastingModelFault } from '@graft/service/base-models';
import type { Services } from '@graft/service/services';
import type { Static } from 'typebox';
import { type CardFaultCode, cardFaultIn, plainFault } from '../faults/card-fault.ts';
import { type FaultSchema, longestFault, longestStack } from './message-schemas.ts';

/** A fault as it crosses the process boundary. `message` may be shown to the team. */
export type ChildFault = Static<typeof FaultSchema>;

/** The operator's files that a child process reads. Faults in them are not a team's, and no team may see their paths. */
export interface OperatorFiles {
  base: { id: string; path: string };
  /** Folders of adapters and checkpoints. */
  folders: readonly string[];
}

/** Code and message of an unexpected error; the fault is `system` by default. */
type Otherwise = Pick<ChildFault, 'code' | 'message'> & Partial<Pick<ChildFault, 'fault'>>;

/**
 * Converts an error in a child process to a fault for others. Only the messages of GraftError reach a team, because any other may
 * contain paths or data.
 */
export function faultOf(
  error: unknown,
  otherwise: Otherwise,
  files: OperatorFiles | null = null,
): ChildFault {
  const { message, stack, param, ...fault } = findFault(error, otherwise, files);
  return {
    ...fault,
    message: shortened(message, longestFault),
    param: param === null ? null : shortened(param, 500),
    ...(stack === undefined ? {} : { stack: shortened(stack, longestStack) }),
  };
}

/** Like `faultOf`, for a trainer: running out of memory is the job's fault. */
export function trainingFault(
  error: unknown,
  otherwise: Otherwise,
  files: OperatorFiles | null = null,
): ChildFault {
  return faultOf(error, ranOutOfMemory(error) ? memoryFault : otherwise, files);
}

function findFault(error: unknown, otherwise: Otherwise, files: OperatorFiles | null): ChildFault {
  const isWorded = error instanceof GraftError && error.fault === 'environment';
  if (!isWorded && isMachineFault(error)) return { ...machineFault, ...stackOf(error) };
  const card = isWorded || ranOutOfMemory(error) ? null : cardFaultBehind(error);
  if (card) {
    const message = `The worker cannot continue: ${plainFault(card)}.`;
    return { code: card, message, param: null, fault: 'environment', ...stackOf(error) };
  }
  if (!(error instanceof GraftError))
    return { fault: 'system', ...otherwise, param: null, ...stackOf(error) };
  const mentions = (place: string) => error.message.includes(place);
  if (files?.folders.some(mentions)) {
    return { ...otherwise, param: null, fault: isWorded ? 'environment' : 'system', ...stackOf(error) };
  }
  const { base } = files ?? {};
  // A user fault that is caused by a broken base model becomes a system fault with a message for teams.
  const isModelFault =
    base && (mentions(base.path) || (error.fault === 'user' && isLastingModelFault(error.code, error.param)));
  const { code, message, param, fault } = isModelFault ? baseModelFault(error, base.id, [base.path]) : error;
  // The model is in the catalogue: another worker may have it, and this one may have it later.
  const isAway = code === 'base_model_unavailable';
  return { code, message, param, fault: isAway ? 'environment' : fault, ...stackOf(error) };
}

/** Out of memory in a training. `training/memory/smaller-batch.ts` adds advice, where the batch size is known. */
export const memoryFault = {
  code: 'out_of_memory',
  message: 'The device ran out of memory.',
  fault: 'user',
} as const;

const machineFault = {
  code: 'worker_unfit',
  message: 'The worker cannot read or write its files.',
  param: null,
  fault: 'environment',
} as const;

/** The stack of the root cause: outer errors only add a message. */
function stackOf(error: unknown): { stack?: string } {
  if (!(error instanceof Error)) return {};
  if (error.cause instanceof Error) return stackOf(error.cause);
  return error.stack ? { stack: error.stack } : {};
}

/** Logs a fault. A user's fault is logged by code only, because its message may quote the data or the prompt. */
export function logFault(
  what: string,
  { code, message, stack, fault }: ChildFault,
  log: Services['log'],
): void {
  if (fault === 'user') log.info({ code }, what);
  else log.warn({ code, err: Object.assign(new Error(message), { stack }) }, what);
}

/**
 * Checks whether an error means that this machine cannot work on any job: its disk or shared folder is broken, full or inaccessible, or
 * it has run out of file handles or processes. A missing file, or running out of memory, does not count, because the job may be at fault.
 */
function isMachineFault(error: unknown): boolean {
  return causesOf(error).some(({ code }) => code !== undefined && machineCodes.has(code));
}

/** The fault of a GPU or its driver, by the messages of CUDA, cuDNN and TensorFlow; null where there is none. */
function cardFaultBehind(error: unknown): CardFaultCode | null {
  for (const { message } of causesOf(error)) {
    const code = cardFaultIn(message);
    if (code) return code;
  }
  return null;
}

function ranOutOfMemory(error: unknown): boolean {
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
