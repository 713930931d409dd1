/** Closed lists of the API and its limits. Imports only lists without imports: also for pages and the installable command. */
export * from '@graft/peft-core/lists';

/** Ordered by increasing rights. viewer: reads; member: everything except managing keys and members; admin: everything. */
export const roles = ['viewer', 'member', 'admin'] as const;
export type Role = (typeof roles)[number];

/**
 * Scopes to which keys can be limited, as docs/teams.md lists them. Every route requires one of them, and each is used by a route. Writing
 * does not include reading: a key may be limited to uploading.
 */
export const scopes = {
  'files:read': 'list, read and download files',
  'files:write': 'upload and delete files',
  'jobs:read': 'list jobs, their events, metrics, checkpoints and attempts; check and estimate jobs',
  'jobs:write': 'create, cancel, pause, resume and delete jobs, and change their priority',
  'models:read': 'list models',
  'models:write': 'delete fine-tuned models, and checkpoints; set and delete model aliases',
  'adapters:read': 'list, compare and download adapters, checkpoints and exports',
  'adapters:write':
    'upload, combine, tag, note, export, delete and restore adapters; make checkpoints versions',
  'publications:write': 'publish adapters and exports on the Hugging Face Hub with the token of the team',
  'completions:write': 'call models: chats, completions, embeddings, classes',
  'integrations:read':
    'list where metrics are sent, whether a token of the Hub is stored, and where the team may publish',
  'integrations:write':
    'set up and delete where metrics are sent, the token of the Hub, and where the team may publish',
  'deploy:read': 'list deploy targets and their state',
  'deploy:write': 'make, change, retry and delete deploy targets, with their API keys',
  'webhooks:read': 'list webhook endpoints and their deliveries',
  'webhooks:write': 'make, change, test and delete webhook endpoints; send again',
  'usage:read': 'read what the team used, and its budget',
  'team:read': 'read the team, its members and invitations, and what sends to other servers',
  'team:write': 'invite, remove and change members; delete the team',
  'keys:read': 'list API keys',
  'keys:write': 'make, rotate and revoke API keys',
  'audit:read': 'list and export the audit log',
} as const;

export type Scope = keyof typeof scopes;

/** Scopes that cover all models of the team. The API refuses them to keys that are limited to some models. */
export const teamWideScopes: readonly Scope[] = [
  'usage:read',
  'audit:read',
  'webhooks:read',
  'webhooks:write',
  'integrations:write',
  'publications:write',
  'deploy:read',
  'deploy:write',
];

export const usageKinds = [
  'trained_tokens',
  'device_seconds',
  'stored_bytes',
  'input_tokens',
  'output_tokens',
] as const;
export type UsageKind = (typeof usageKinds)[number];

/** Dimensions by which usage can be grouped. */
export const usageGroups = ['team', 'model', 'key', 'job', 'kind'] as const;
export type UsageGroup = (typeof usageGroups)[number];

/** Maximum days per query and per page: they bound the cost of a request. */
export const maxUsageDays = 366;
export const maxPageDays = 31;

/** Types of events that an endpoint may subscribe to: OpenAI's, then Graft's own. */
export const webhookEvents = [
  'fine_tuning.job.succeeded',
  'fine_tuning.job.failed',
  'fine_tuning.job.cancelled',
  'fine_tuning.job.running',
  'fine_tuning.job.paused',
  'export.succeeded',
  'export.failed',
  'export.cancelled',
  'budget.warning',
  'budget.exceeded',
] as const;
export type WebhookEvent = (typeof webhookEvents)[number];

/** Events of an endpoint that names none. */
export const defaultWebhookEvents: readonly WebhookEvent[] = webhookEvents.slice(0, 3);

export const maxEndpoints = 20;

/** Model aliases of a team. */
export const maxModelAliases = 100;

export const deliveryStatuses = ['pending', 'delivered', 'failed'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/** Services that take the metrics of jobs. */
export const trackerTypes = ['wandb', 'mlflow', 'trackio'] as const;
export type TrackerType = (typeof trackerTypes)[number];

export const integrationTypes = [...trackerTypes, 'huggingface'] as const;
export type IntegrationType = (typeof integrationTypes)[number];

/** Default URLs of the services; null for services that every team hosts itself. The operator sets that of the Hub. */
export const defaultUrls: Record<TrackerType, string | null> = {
  wandb: 'https://api.wandb.ai',
  mlflow: null,
  trackio: null,
};

export const publicationStatuses = ['queued', 'running', 'succeeded', 'failed'] as const;
export type PublicationStatus = (typeof publicationStatuses)[number];

export const deployStates = ['waiting', 'loading', 'deployed', 'failing', 'disabled'] as const;
export type DeployState = (typeof deployStates)[number];

export const maxDeployTargets = 20;
/** Default seconds for which the previous version stays loaded, so that clients can change to the new name. */
export const usualKeepSeconds = 300;

/** Runtimes that load and unload adapters while they run, with their titles, which `runtimesFor` of peft-core has, too. */
export const runtimeTitles = { vllm: 'vLLM', sglang: 'SGLang' } as const;
export type RuntimeName = keyof typeof runtimeTitles;
export const runtimeNames = Object.keys(runtimeTitles) as RuntimeName[];

export const exportStatuses = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
export type ExportStatus = (typeof exportStatuses)[number];

export const exitKinds = ['webhook', 'integration', 'deploy_target', 'publication'] as const;
export type ExitKind = (typeof exitKinds)[number];

/** Maximum length of a note, in characters. */
export const longestNote = 10_000;

/** Maximum bytes of a part, as in OpenAI's API. */
export const maxPartBytes = 64 * 2 ** 20;
/** Maximum number of parts: allows 512 MiB in parts of half a megabyte. */
export const maxParts = 1000;

/** Upper bound of a team's limit of running jobs; a larger one is a mistake. */
export const maxRunning = 10_000;
export const maxWeight = 1000;

/** Maximum lifetime of a key in seconds: ten years. */
export const maxKeySeconds = 10 * 366 * 24 * 3600;

/** Seconds for which a rotated key keeps working: by default an hour, at most 30 days. */
export const overlapSeconds = { byDefault: 3600, most: 30 * 24 * 3600 };

/** Maximum number of inputs of a request: OpenAI's. */
export const maxInputs = 2048;

export const maxPublishingRules = 100;

/** Seconds for which an invitation can be accepted: by default a week, at most 30 days. */
export const invitationSeconds = { byDefault: 7 * 24 * 3600, most: 30 * 24 * 3600 };

/** Statuses of jobs: OpenAI's, and `paused`. */
export const jobStatuses = [
  'validating_files',
  'queued',
  'running',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
] as const;
export type JobStatus = (typeof jobStatuses)[number];

/** Priorities as named in the API. */
export const priorities = { low: -1, normal: 0, high: 1 } as const;
export type Priority = keyof typeof priorities;
