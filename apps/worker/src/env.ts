import {
  type SettingsOf,
  servingSettings,
  settingReader,
  setupSettings,
  workerSettings,
} from '@graft/service/settings';
import type { Precision } from './devices.ts';

const { GRAFT_GENERATION_CONFIG: _, ...generatorSettings } = servingSettings;
const rows = { ...workerSettings, ...generatorSettings, GRAFT_TENSORFLOW: setupSettings.GRAFT_TENSORFLOW };

/** Settings of the worker only; packages/service/src/settings/ describes each, and `loadServiceEnv` has those shared with the API. */
export interface WorkerEnv extends Omit<SettingsOf<typeof rows>, 'trainerPrecisions'> {
  /** Precisions that jobs may use here, first the one for "auto". Undefined: both, as the device supports them. */
  trainerPrecisions: Precision[] | undefined;
}

/** Reads the environment; an empty variable counts as unset. Throws one Error that names every invalid variable. */
export function loadWorkerEnv(env: NodeJS.ProcessEnv = process.env): WorkerEnv {
  const { readAll, faults, check } = settingReader(env);
  const { trainerPrecisions, ...loaded } = readAll(rows);
  const { serverBaseDtype: baseDtype, serverActivationDtype: activationDtype } = loaded;
  if (activationDtype === 'int8' && baseDtype !== 'int8' && baseDtype !== 'nf4')
    faults.add(
      'GRAFT_SERVER_BASE_DTYPE must be int8 or nf4 if GRAFT_SERVER_ACTIVATION_DTYPE is int8: only such weights are multiplied as integers',
    );
  if (activationDtype === 'int8' && loaded.kernels === 'stock')
    faults.add(
      "GRAFT_KERNELS must not be stock if GRAFT_SERVER_ACTIVATION_DTYPE is int8: TensorFlow's operations multiply in float32",
    );
  check();
  return { ...loaded, trainerPrecisions: trainerPrecisions?.split(',') as Precision[] | undefined };
}
