export * from './count-workers.ts';
export * from './live-machines.ts';
export * from './manage-workers.ts';
export * from './worker-quarantine.ts';
export {
  heartbeatWorker,
  pickWorker,
  registerWorker,
  removeWorker,
  type WorkerInfo,
} from './worker-registry.ts';
