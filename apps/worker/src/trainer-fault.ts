import { GraftError } from '@graft/peft-core/config';
import type { TrainerFault } from './trainer-protocol.ts';

/**
 * What a failure in a child process means to others. Only messages written on purpose (GraftError) reach a team;
 * any other may hold paths or data.
 */
export function faultOf(error: unknown, otherwise: { code: string; message: string }): TrainerFault {
  if (error instanceof GraftError) {
    const { code, message, param, fault } = error;
    return { code, message, param, fault, ...stackOf(error) };
  }
  return { ...otherwise, param: null, fault: 'system', ...stackOf(error) };
}

function stackOf(error: unknown): { stack?: string } {
  return error instanceof Error && error.stack ? { stack: error.stack } : {};
}
