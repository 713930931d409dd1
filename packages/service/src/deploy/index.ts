export type { DeployTarget } from './deploy-target.ts';
export { type DeployLeftover, dismissLeftover, listLeftovers } from './leftovers.ts';
export {
  createDeployTarget,
  type DeployTargetChanges,
  deleteDeployTarget,
  getDeployTarget,
  listDeployTargets,
  type NewDeployTarget,
  retryDeployTarget,
  updateDeployTarget,
} from './manage-targets.ts';
export { startDeploySender } from './send/deploy-sender.ts';
