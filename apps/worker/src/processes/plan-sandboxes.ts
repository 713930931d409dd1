import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { listBaseModels } from '@graft/service/base-models';
import { dataFolder, secureDataFolder } from '@graft/service/data-folder';
import type { Services } from '@graft/service/services';
import { availableUsers, type ChildUser, findChildUsers } from './child-user.ts';
import {
  canReach,
  findConfinement,
  type Layer,
  missingLayers,
  neededByAll,
  placesOf,
  type Sandbox,
  type SandboxMode,
} from './confinement.ts';

export interface Sandboxes {
  /** Null: children have the rights of the worker. */
  generator: Sandbox | null;
  /** One for each slot. */
  trainers: (Sandbox | null)[];
  /** One for each export that is written at a time. */
  exporters: (Sandbox | null)[];
  layers: Layer[];
  /** Removes the folders. Call it when no child runs any more. */
  close(): Promise<void>;
}

/**
 * Plans how the children of this worker are started, including the generator's: each as a separate user where this process may change
 * users, and confined as far as this machine supports it. Logs what is missing. Throws an Error for the operator.
 */
export async function planSandboxes(
  { env, log }: Pick<Services, 'env' | 'log'>,
  workerId: string,
  {
    mode,
    user,
    trainers,
    exporters: wantedExporters,
  }: { mode: SandboxMode; user: string | undefined; trainers: number; exporters: number },
): Promise<Sandboxes> {
  const { dataDir, cacheDir } = env;
  const confinement = await findConfinement(mode, cacheDir);
  const { program } = confinement;
  // A range of an earlier version may have too few users for exports: this worker then trains as before, and writes fewer.
  const exporters = Math.max(0, Math.min(wantedExporters, availableUsers(user) - trainers - 1));
  if (exporters < wantedExporters)
    log.warn(
      `GRAFT_TRAINER_USER has users for ${exporters} of ${wantedExporters} exports (see GRAFT_EXPORT_SLOTS)`,
    );
  const children = 1 + trainers + exporters;
  let users = mode === 'off' && user === undefined ? null : await findChildUsers(user, children);
  // Without the program, children would keep the capabilities of a worker that is not root.
  if (users && !program && process.getuid!() !== 0) {
    if (user !== undefined)
      throw new Error('GRAFT_TRAINER_USER: the program that confines trainers is missing or does not run.');
    users = null;
  }
  if (users && user === undefined) {
    const needed = [...neededByAll(cacheDir), dirname(dataDir)];
    const closed = await closedTo(users[0]!, needed, program);
    if (closed.length > 0) {
      log.warn(
        `trainers run as the worker's user, because no other reaches ${closed.join(', ')} (see GRAFT_TRAINER_USER)`,
      );
      users = null;
    }
  }
  const missing = missingLayers(confinement);
  if (missing.length > 0)
    log.warn(
      { event: 'trainers_not_confined', missing },
      `trainers are not fully confined on this machine: ${missing.join(', ')} missing (see GRAFT_TRAINER_SANDBOX)`,
    );
  if (!program && !users)
    return {
      generator: null,
      trainers: Array(trainers).fill(null),
      exporters: Array(exporters).fill(null),
      layers: [],
      close: async () => {},
    };

  const { artifacts, cache, slots } = dataFolder(dataDir);
  if (users) await secureDataFolder(dataDir, log, { passable: 'folders' });
  const folder = join(slots, workerId);
  // A worker with a broken data folder reports it and waits; starting a child creates missing folders.
  await mkdir(folder, { recursive: true, mode: 0o711 }).catch((err: unknown) =>
    log.error({ err }, 'the data folder cannot be used'),
  );
  const models = [...(await listBaseModels(env)).entries.values()].flatMap(({ spec }) =>
    'folder' in spec ? placesOf(spec.folder) : [],
  );
  if (users) {
    const closed = await closedTo(users[0]!, models, program);
    if (closed.length > 0)
      log.warn(
        `trainers cannot read ${closed.join(', ')}, so no job on these base models runs here: make them readable for every user`,
      );
  }
  const sandbox = (index: number, reads: string[]): Sandbox => ({
    ...confinement,
    user: users?.[index] ?? null,
    reads,
    cacheDir,
    folder,
  });
  // The generator reads the adapters of all teams.
  const generator = sandbox(0, [...models, artifacts, cache]);
  const others = Array.from({ length: children - 1 }, (_, slot) => sandbox(slot + 1, models));
  const layers = users ? (['user', ...confinement.layers] as Layer[]) : [...confinement.layers];
  log.info({ layers, users: users?.map(({ uid }) => uid) ?? null }, 'trainers are confined');
  const close = async () => await rm(folder, { recursive: true, force: true });
  return { generator, trainers: others.slice(0, trainers), exporters: others.slice(trainers), layers, close };
}

/** The paths that the user cannot reach. */
async function closedTo(user: ChildUser, paths: string[], program: string | null): Promise<string[]> {
  const reached = await Promise.all(paths.map((path) => canReach(program, user, path)));
  return paths.filter((_, index) => !reached[index]);
}
