export type { Integration } from './integration.ts';
export {
  deleteIntegration,
  getIntegration,
  listIntegrations,
  putIntegration,
} from './manage-integrations.ts';
export * from './send/integration-sender.ts';
