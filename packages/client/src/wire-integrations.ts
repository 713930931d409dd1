/** Where a team tracks its experiments, and where a job's metrics are sent. */
import type { Integration, JobIntegration as SideBySide } from './generated/wire.ts';

export type { Integration, SetIntegration as IntegrationParams } from './generated/wire.ts';

export type IntegrationType = Integration['type'];

/** The schema has the settings of all types side by side. That they are those of `type`, which the API checks, is said here. */
export type JobIntegration = {
  [Type in IntegrationType]: { type: Type } & Required<Pick<SideBySide, Type>>;
}[IntegrationType];
