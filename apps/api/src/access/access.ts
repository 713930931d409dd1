import type { Role, Scope } from '@graft/service';
import type { RouteOptions } from 'fastify';
import { type ModelUse, modelUses } from './model-uses.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
}

/**
 * What a route asks of its caller: a team's key or person with a scope and a role, the operator, anyone with a valid key
 * or session (one of `caller` and `operator` is null then, or both, of a person in no team), or nobody at all.
 */
export type Access = TeamAccess | 'operator' | 'anyone' | 'public';

export type TeamAccess = ReadAccess | WriteAccess;

interface ReadAccess {
  /** The kind of thing that it reads. */
  scope: Extract<Scope, `${string}:read`>;
  /** The least role. Default: any for reading, member for the rest. */
  role?: Role;
  /** How the models are found that a request touches, for keys limited to some. */
  models: ModelUse;
}

interface WriteAccess {
  /** The kind of thing that it writes. */
  scope: Extract<Scope, `${string}:write`>;
  role?: Role;
  models: ModelUse;
  /**
   * `own`: the answer shows what the request sent or made. Otherwise the scope that guards what it shows: a key without it is answered
   * a receipt, since writing does not include reading.
   */
  answer: 'own' | Extract<Scope, `${string}:read`>;
}

/** A route that declares less would be open to keys that must not use it: the app does not start with it. */
export function demandAccess({ method, url, config }: RouteOptions): void {
  const fault = faultOf(config?.access);
  if (fault !== null) throw new Error(`${method} ${url} needs config.access${fault}`);
}

function faultOf(access: Partial<TeamAccess & { answer: string }> | string | undefined): string | null {
  if (access === undefined) return ': what it asks of its caller';
  if (typeof access === 'string') return null;
  const { models, scope, answer } = access;
  if (models === undefined || !Object.hasOwn(modelUses, models)) {
    const uses = Object.keys(modelUses).join(', ');
    return `.models: how the models are found that a request touches, one of ${uses}`;
  }
  const isWrite = scope?.endsWith(':write') ?? false;
  return isWrite && !answer ? '.answer: own, or the scope that guards what the answer shows' : null;
}
