import type { Role, Scope } from '@graft/wire/lists';
import type { RouteOptions } from 'fastify';
import { type ModelUse, modelUses } from './model-uses.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
}

/**
 * Access that a route requires: a team's key or member with a scope and a role, the operator, anyone with a valid key or session (then
 * `caller` or `operator` is null, or both for a person without a team), or nothing.
 */
export type Access = TeamAccess | 'operator' | 'anyone' | 'public';

export type TeamAccess = ReadAccess | WriteAccess;

interface ReadAccess {
  scope: Extract<Scope, `${string}:read`>;
  /** Minimum role. Default: any role to read, member to write. */
  role?: Role;
  /** How Graft finds the models that a request uses, to check keys limited to some models. */
  models: ModelUse;
}

interface WriteAccess {
  scope: Extract<Scope, `${string}:write`>;
  role?: Role;
  models: ModelUse;
  /**
   * `own`: the response shows only what the request sent or created. Otherwise the scope that guards the response: a key without that
   * scope gets a receipt, since a write scope does not include reading.
   */
  answer: 'own' | Extract<Scope, `${string}:read`>;
}

/** Throws at startup when a route declares too little, which would open it to keys that must not use it. */
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
