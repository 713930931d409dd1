import { GraftError } from '@graft/peft-core/config';
import { baseModelFault, isLastingModelFault } from '@graft/service/base-model-fault';
import type { TrainerFault } from '../training/trainer-protocol.ts';

/** What a child process works with, for which no team is to blame and whose paths none shall see. */
export interface ServerFiles {
  base: { id: string; path: string };
  /** Folders of adapters and checkpoints. */
  folders: readonly string[];
}

/**
 * What a failure in a child process means to others. Only messages written on purpose (GraftError) reach a team;
 * any other may hold paths or data.
 */
export function faultOf(
  error: unknown,
  otherwise: { code: string; message: string },
  files: ServerFiles | null = null,
): TrainerFault {
  if (!(error instanceof GraftError))
    return { ...otherwise, param: null, fault: 'system', ...stackOf(error) };
  const tells = (place: string) => error.message.includes(place);
  if (files?.folders.some(tells)) return { ...otherwise, param: null, fault: 'system', ...stackOf(error) };
  const { base } = files ?? {};
  // What says so of a broken model is of fault 'system' once it is worded for teams.
  const ofBase = base && (tells(base.path) || (error.fault === 'user' && isLastingModelFault(error.code)));
  const { code, message, param, fault } = ofBase ? baseModelFault(error, base.id, [base.path]) : error;
  return { code, message, param, fault, ...stackOf(error) };
}

/** Of what happened first: the rest only words it. */
function stackOf(error: unknown): { stack?: string } {
  if (!(error instanceof Error)) return {};
  if (error.cause instanceof Error) return stackOf(error.cause);
  return error.stack ? { stack: error.stack } : {};
}
