import type { Scenario } from '../harness/scenario.ts';
import { commitCut } from './network/commit-cut.ts';
import { connectionsCut } from './network/connections-cut.ts';
import { partitioned } from './network/partitioned.ts';
import { apiKilled } from './processes/api-killed.ts';
import { brokenWorker } from './processes/broken-worker.ts';
import { clockSkew } from './processes/clock-skew.ts';
import { exportKilled } from './processes/export-killed.ts';
import { frozenAtStatement } from './processes/frozen-at-statement.ts';
import { holderFrozen } from './processes/holder-frozen.ts';
import { killedAtSyscall } from './processes/killed-at-syscall.ts';
import { mixedPrecisions } from './processes/mixed-precisions.ts';
import { repeatedKills } from './processes/repeated-kills.ts';
import { impatientRestarts, rollingRestarts } from './processes/rolling-restarts.ts';
import { trainerKilled } from './processes/trainer-killed.ts';
import { workerKilled } from './processes/worker-killed.ts';
import { hostileCorpus } from './requests/hostile-corpus.ts';
import { interleavings } from './requests/interleavings.ts';
import { longQueue } from './requests/long-queue.ts';
import { overload } from './requests/overload.ts';
import { races } from './requests/races.ts';
import { backendsKilled } from './servers/backends-killed.ts';
import { cancelLatency } from './servers/cancel-latency.ts';
import { connectionsExhausted } from './servers/connections-exhausted.ts';
import { postgresReadOnly } from './servers/postgres-read-only.ts';
import { postgresRestarted } from './servers/postgres-restarted.ts';
import { queueFlushed, redisKilled } from './servers/queue-lost.ts';
import { checkpointDamaged } from './storage/checkpoint-damaged.ts';
import { diskFull } from './storage/disk-full.ts';

/** In the order in which they run; the five standard faults of queues come first. */
export const scenarios: readonly Scenario[] = [
  workerKilled,
  repeatedKills,
  postgresRestarted,
  backendsKilled,
  connectionsExhausted,
  trainerKilled,
  apiKilled,
  killedAtSyscall,
  checkpointDamaged,
  exportKilled,
  rollingRestarts,
  impatientRestarts,
  holderFrozen,
  frozenAtStatement,
  partitioned,
  connectionsCut,
  commitCut,
  postgresReadOnly,
  queueFlushed,
  redisKilled,
  cancelLatency,
  brokenWorker,
  mixedPrecisions,
  races,
  interleavings,
  clockSkew,
  hostileCorpus,
  longQueue,
  overload,
  diskFull,
];
