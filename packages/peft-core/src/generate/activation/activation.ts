/**
 * Adapters that are active from an invocation on: before it they are the base model, so that keys and values which the base computed of
 * a prompt serve them all. Source: Greenewald et al. 2025, arXiv:2504.12397.
 */
import { lastMatch } from '../../text/last-match.ts';
import type { Chain } from '../block-pool.ts';

/** The part of a sequence that decides what computes its positions. */
interface Computed {
  team: string;
  /** `adapter`: null for the base model. `invocation`: null for an adapter that is always active. */
  served: { adapter: string | null; invocation: readonly number[] | null };
  isLong: boolean;
  /** First position at which the adapter is active; Infinity: it is at none. */
  activeFrom: number;
}

/**
 * The first position of a prompt at which its adapter is active; Infinity if it is at none. An invocation in the answer changes nothing, as
 * in peft 0.21.2 (get_alora_offsets_for_generate), where every token of an answer to an invoked prompt is active.
 */
export function firstActiveInPrompt(
  { invocation }: Pick<Computed['served'], 'invocation'>,
  ids: readonly number[],
): number {
  return invocation === null ? 0 : (lastMatch(ids, invocation) ?? Number.POSITIVE_INFINITY);
}

/** For each position of a piece whether its adapter is active there. */
export const activeIn = ({
  ids,
  start,
  activeFrom = 0,
}: {
  ids: readonly number[];
  start: number;
  activeFrom?: number;
}): boolean[] => ids.map((_, i) => start + i >= activeFrom);

/**
 * Describes how a sequence's positions are computed. Cached prefixes are private to a team, so that no team can infer another team's prompts
 * from response times.
 */
export function chainOf({ team, served, isLong, activeFrom }: Computed): Chain {
  const { adapter, invocation } = served;
  const isBase = adapter === null || invocation !== null;
  const root = JSON.stringify([team, isBase ? null : adapter, isLong]);
  const changes = adapter !== null && invocation !== null && Number.isFinite(activeFrom);
  return { owner: team, root, change: changes ? { at: activeFrom, name: adapter } : null };
}

/** Maximum number of first positions that two sequences of a team with equal tokens compute alike. */
export function alike(a: Computed, b: Computed): number {
  if (a.served.adapter === b.served.adapter && a.activeFrom === b.activeFrom) return Number.POSITIVE_INFINITY;
  return Math.min(baseUntil(a), baseUntil(b));
}

/** Number of first positions that the base model computes. */
const baseUntil = ({ served, activeFrom }: Computed): number =>
  served.adapter === null ? Number.POSITIVE_INFINITY : activeFrom;
