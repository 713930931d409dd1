/** Runtimes into which the version of a tag is loaded, as the API returns them. */
export type { CreateDeployTarget, DeployTarget, UpdateDeployTarget } from './generated/wire.ts';
