export * from './manage-publications.ts';
export type { Publication } from './publication.ts';
export {
  getPublishingRules,
  type PublishingRules,
  setPublishingRules,
} from './publishing-rules.ts';
export { type PublicationTimes, startPublicationSender } from './send/publication-sender.ts';
