/** Services in which a team tracks its experiments, and to which a job's metrics are sent; and its account at the Hugging Face Hub. */
import type { Integration, JobIntegration as SideBySide } from './generated/wire.ts';

export type { Integration, SetIntegration as IntegrationParams } from './generated/wire.ts';

export type IntegrationType = Integration['type'];

/** The schema lists the settings of all types side by side. This type restricts them to those of `type`, which the API checks. */
export type JobIntegration = {
  [Type in SideBySide['type']]: { type: Type } & Required<Pick<SideBySide, Type>>;
}[SideBySide['type']];
