/**
 * Vocabulary
 * - target: a runtime of a team, such as a vLLM server, that follows one tag of one adapter.
 * - wanted: the version that the tag points at now. It is read from the tag, never stored twice.
 * - folder: the folder that Graft and the runtimes share (GRAFT_DEPLOY_FOLDER). A target has a folder in its team's, a version one in the target's.
 * - served model: the name under which a runtime has an adapter, which requests to the runtime use as `model`.
 */
import type { DeployState, RuntimeName } from '@graft/wire/lists';
import type { DeployTarget as Row } from '../generated/client.ts';
import type { ExitMaker } from '../keys/exits.ts';

/** With deleted ones whose adapters are not unloaded yet: each is tried for a day. */
export const maxDeployTargetRows = 60;

export interface DeployTarget extends ExitMaker {
  id: string;
  teamId: string;
  adapterId: string;
  tag: string;
  /** Unique in the team. */
  name: string;
  runtime: RuntimeName;
  url: string;
  /** Path at which the runtime sees the team's part of the shared folder; null: Graft has none any more, and the target has the default. */
  folder: string | null;
  /** Name of the adapter in the runtime; with `versionedNames` its beginning. */
  modelName: string;
  versionedNames: boolean;
  keepSeconds: number;
  /** The key itself is never returned. */
  hasApiKey: boolean;
  state: DeployState;
  /** Why it waits, fails or is disabled, and what to do; null if it is deployed. */
  reason: string | null;
  /** Number of the version that the runtime had at the last check; null if none. */
  deployedVersion: number | null;
  servedModel: string | null;
  deployedAt: Date | null;
  /** Last time that the runtime listed its adapters. */
  checkedAt: Date | null;
  failingSince: Date | null;
  nextAttemptAt: Date;
  createdAt: Date;
  updatedAt: Date;
}

/** `root`: GRAFT_DEPLOY_FOLDER. */
export function targetOf(row: Row, root: string | undefined): DeployTarget {
  const { id, teamId, adapterId, tag, name, url, modelName, versionedNames, keepSeconds } = row;
  const { reason, servedModel, deployedAt, checkedAt, failingSince, nextAttemptAt, createdAt, updatedAt } =
    row;
  const { createdBy, madeByKey } = row;
  return {
    id,
    teamId,
    adapterId,
    tag,
    name,
    runtime: row.runtime as RuntimeName,
    url,
    folder: root === undefined ? row.folder : folderOf(row, root),
    modelName,
    versionedNames,
    keepSeconds,
    hasApiKey: row.sealed !== null,
    createdBy,
    madeByKey,
    state: row.state as DeployState,
    reason,
    deployedVersion: row.deployedNumber,
    servedModel,
    deployedAt,
    checkedAt,
    failingSince,
    nextAttemptAt,
    createdAt,
    updatedAt,
  };
}

export function servedName(
  { modelName, versionedNames }: Pick<DeployTarget, 'modelName' | 'versionedNames'>,
  number: number,
): string {
  return versionedNames ? `${modelName}-v${number}` : modelName;
}

/** The name of a version's folder. It has the beginning of the artifact's digest: other files never get the same path. */
export function versionFolder({ number, artifact }: { number: number; artifact: string }): string {
  return `v${number}-${artifact.slice(0, 12)}`;
}

/** Where the runtime sees the team's folder. The default is not stored, so that it follows the operator's setting. */
const folderOf = ({ folder, teamId }: Pick<Row, 'folder' | 'teamId'>, root: string) =>
  folder ?? `${root}/${teamId}`;

/** Where the runtime sees the folders of a target's versions, with a slash at the end. `root`: GRAFT_DEPLOY_FOLDER. */
export function runtimePrefix(row: Pick<Row, 'folder' | 'teamId' | 'id'>, root: string): string {
  return `${folderOf(row, root).replace(/\/+$/, '')}/${row.id}/`;
}
