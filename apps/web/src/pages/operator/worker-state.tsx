import type { WorkerObject } from '@graft/client';
import { Badge } from '../../components/badge.tsx';

/** Seconds after its last sign of life during which a worker counts as alive: as the dispatcher has it. */
const aliveSeconds = 60;

export type WorkerState = 'ready' | 'draining' | 'quarantined' | 'silent';

export function stateOf(worker: WorkerObject, now: number): WorkerState {
  if (worker.heartbeat_at < now - aliveSeconds) return 'silent';
  if (worker.quarantined_at !== null) return 'quarantined';
  return worker.draining ? 'draining' : 'ready';
}

const looks = {
  ready: ['good', 'in service'],
  draining: ['wait', 'stopping'],
  quarantined: ['bad', 'out of service'],
  silent: ['bad', 'silent'],
} as const;

export const WorkerBadge = ({ state }: { state: WorkerState }) => (
  <Badge tone={looks[state][0]}>{looks[state][1]}</Badge>
);
