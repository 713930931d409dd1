import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { startModelFetcher } from '@graft/service/added-models';
import { startAuditExporter } from '@graft/service/audit';
import { publishChannelKeys } from '@graft/service/channel';
import { startDeploySender } from '@graft/service/deploy';
import { startIntegrationSender } from '@graft/service/integrations';
import { collectDeleted, collectDeletedMs, collectLocal, housekeeping } from '@graft/service/maintenance';
import { startPublicationSender } from '@graft/service/publications';
import { type Closable, type Loop, startLoops } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import { pruneLogoutTokens, pruneSessions } from '@graft/service/sessions';
import { watchBudgets } from '@graft/service/usage';
import { startWebhookSender } from '@graft/service/webhooks';
import { namedSchemas } from '@graft/wire/schema';
import Fastify, { LogController } from 'fastify';
import { mcpRoutes } from './agents/mcp-route.ts';
import { downloads } from './downloads/download.ts';
import { entityTags } from './downloads/entity-tags.ts';
import { createEstimator } from './estimates/estimator.ts';
import { startJobValidator } from './jobs/job-validator.ts';
import { createJobWriter } from './jobs/job-writer.ts';
import { createOptionChecker } from './jobs/option-checker.ts';
import { openApi } from './open-api/open-api.ts';
import { auth } from './plugins/auth.ts';
import { answerBrokenRequest } from './plugins/broken-request.ts';
import { dashboard } from './plugins/dashboard.ts';
import { answerError, errors } from './plugins/errors.ts';
import { jsonBody, jsonBodyLimit } from './plugins/json-body.ts';
import { knownPaths } from './plugins/known-paths.ts';
import { heldBytes } from './plugins/limits/held-bytes.ts';
import { openLimits } from './plugins/limits/open-limits.ts';
import { rateLimits } from './plugins/limits/rate-limits.ts';
import { observe } from './plugins/observe.ts';
import { openStreams } from './plugins/open-streams.ts';
import { parseQuery } from './plugins/parse-query.ts';
import { newRequestId, requestLog } from './plugins/request-log.ts';
import { schemaCompilers } from './plugins/schema-compilers.ts';
import { security } from './plugins/security.ts';
import { shutdown } from './plugins/shutdown.ts';
import { timeouts } from './plugins/timeouts.ts';
import { readsApart, turns } from './plugins/turns.ts';
import { wireValues } from './plugins/wire-values.ts';
import { startFileReporter } from './reports/file-reporter.ts';
import { adapterRoutes } from './routes/adapters/adapters.ts';
import { checkpointRoutes } from './routes/adapters/checkpoints.ts';
import { adapterCombinationRoutes } from './routes/adapters/combinations.ts';
import { adapterDeletionRoutes } from './routes/adapters/deletion.ts';
import { exportRoutes } from './routes/adapters/exports.ts';
import { adapterHistoryRoutes } from './routes/adapters/history.ts';
import { publicationRoutes } from './routes/adapters/publications.ts';
import { adapterTagRoutes } from './routes/adapters/tags.ts';
import { adapterUploadRoutes } from './routes/adapters/upload.ts';
import { adminAuditRoutes } from './routes/admin/audit.ts';
import { adminBaseModelRoutes } from './routes/admin/base-models.ts';
import { adminPeopleRoutes } from './routes/admin/people.ts';
import { adminServiceRoutes } from './routes/admin/service.ts';
import { adminTeamAccessRoutes } from './routes/admin/team-access.ts';
import { adminTeamRoutes } from './routes/admin/teams.ts';
import { adminUsageRoutes } from './routes/admin/usage.ts';
import { adminWorkerRoutes } from './routes/admin/workers.ts';
import { chatCompletionRoutes } from './routes/chat-completions.ts';
import { clientPackageRoutes } from './routes/client-package.ts';
import { completionRoutes } from './routes/completions.ts';
import { fileReportRoutes } from './routes/file-reports.ts';
import { fileRoutes } from './routes/files.ts';
import { healthRoutes } from './routes/health.ts';
import { createJobRoutes } from './routes/jobs/create-jobs.ts';
import { estimateRoutes } from './routes/jobs/estimates.ts';
import { fineTuningJobRoutes } from './routes/jobs/fine-tuning-jobs.ts';
import { jobCheckRoutes } from './routes/jobs/job-checks.ts';
import { jobEventRoutes } from './routes/jobs/job-events.ts';
import { jobOptionRoutes } from './routes/jobs/job-options.ts';
import { jobOverviewRoutes } from './routes/jobs/job-overview.ts';
import { jobRecordRoutes } from './routes/jobs/job-records.ts';
import { llmsTextRoutes } from './routes/llms-text.ts';
import { modelRoutes } from './routes/models.ts';
import { scimRoutes } from './routes/scim/scim.ts';
import { meRoutes } from './routes/sign-in/me.ts';
import { signInRoutes } from './routes/sign-in/sign-in.ts';
import { auditRoutes } from './routes/team/audit.ts';
import { deployTargetRoutes } from './routes/team/deploy-targets.ts';
import { exitRoutes } from './routes/team/exits.ts';
import { integrationRoutes } from './routes/team/integrations.ts';
import { invitationRoutes } from './routes/team/invitations.ts';
import { teamKeyRoutes } from './routes/team/keys.ts';
import { memberRoutes } from './routes/team/members.ts';
import { quotaRoutes } from './routes/team/quota.ts';
import { teamRoutes } from './routes/team/team.ts';
import { classifyRoutes } from './routes/texts/classify.ts';
import { embeddingRoutes } from './routes/texts/embeddings.ts';
import { uploadRoutes } from './routes/uploads.ts';
import { usageRoutes } from './routes/usage/usage.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { largePrompts } from './serving/large-prompts.ts';
import { type ApiSettings, loadApiSettings } from './settings.ts';
import { createUploadChecks } from './uploads/upload-checks.ts';
import { budgets } from './usage/budgets.ts';

const apiLoops: readonly Loop<Services>[] = [
  ...housekeeping,
  { name: 'collect-local', seconds: 3600, work: (services) => collectLocal(services) },
  {
    name: 'collect-deleted',
    seconds: collectDeletedMs / 1000,
    work: (services) => collectDeleted(services, { parts: true }),
  },
  { name: 'channel keys', seconds: 60, work: publishChannelKeys },
  { name: 'watch-budgets', seconds: 30, work: (services, { stopping }) => watchBudgets(services, stopping) },
  { name: 'prune-sessions', seconds: 3600, work: pruneSessions },
  // A token is remembered for eleven minutes; a round removes 5,000.
  { name: 'prune-logout-tokens', seconds: 60, work: pruneLogoutTokens },
];

declare module 'fastify' {
  interface FastifyInstance {
    /** Open as long as the app is. */
    services: Services;
  }
}

/**
 * Builds the API on open services. The caller listens, closes the app, then closes the services. Closing the app stops accepting
 * requests, ends streams, and waits for running requests.
 */
export async function buildApp(services: Services, overrides: Partial<ApiSettings> = {}) {
  const settings = { ...loadApiSettings(), ...overrides };
  const app = Fastify({
    loggerInstance: services.log,
    // requestLog writes one line per request instead.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: newRequestId,
    bodyLimit: jsonBodyLimit,
    requestTimeout: settings.requestTimeoutMs,
    http: {
      headersTimeout: settings.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(5_000, settings.headersTimeoutMs),
    },
    maxRequestsPerSocket: 10_000,
    ...(settings.trustProxy.length > 0 ? { trustProxy: settings.trustProxy } : {}),
    return503OnClosing: false,
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenRequest,
    routerOptions: { querystringParser: parseQuery, maxParamLength: 512 },
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.server.maxConnections = settings.maxConnections;
  app.decorate('services', services);
  await app.register(errors);
  await app.register(requestLog);
  await app.register(observe);
  await app.register(shutdown);
  await app.register(readsApart);
  await app.register(security);
  await app.register(knownPaths);
  await app.register(rateLimits, { limits: settings.rateLimits, syncMs: settings.rateSyncMs });
  await app.register(openLimits, { limits: settings.openLimits });
  await app.register(heldBytes, { limits: settings.heldBytes });
  await app.register(timeouts, settings);
  await app.register(openStreams, { sessions: settings.signIn.limits });
  await app.register(jsonBody);
  await app.register(wireValues);
  await app.register(schemaCompilers, { shared: namedSchemas, checkResponses: settings.checkResponses });
  await app.register(openApi);
  await app.register(entityTags);
  await app.register(downloads);
  await app.register(budgets);
  await app.register(largePrompts);

  const uploadChecks = createUploadChecks(services.threads);
  const checker = createOptionChecker(settings.checkTimeoutMs, services.threads.options);
  const validator = startJobValidator(services, checker, {
    sweepMs: settings.validationSweepMs,
    estimateTimeoutMs: settings.estimateTimeoutMs,
    validationTimeoutMs: settings.validationTimeoutMs,
    refuseUnfitJobs: settings.refuseUnfitJobs,
  });
  const writer = createJobWriter(services);
  const estimator = createEstimator(services, { timeoutMs: settings.estimateTimeoutMs });
  const reporter = startFileReporter(services, {
    sweepMs: settings.reportSweepMs,
    timeoutMs: settings.reportTimeoutMs,
  });
  // Runs in the API, since validation needs a new base model before any worker does.
  const fetcher = startModelFetcher(services);
  const running: Closable[] = [
    { close: fetcher.stop },
    startLoops(services, apiLoops),
    startAuditExporter(services),
    // A worker cannot decrypt the secrets of a team, which these need: the key of a tracker, a token of the Hub or of a runtime.
    startDeploySender(services),
    startPublicationSender(services, settings.publications),
    startIntegrationSender(services),
    // Runs in the API rather than in workers: there may be no worker, and a job cancelled in the queue also sends webhooks.
    startWebhookSender(services, settings.webhooks),
    reporter,
    validator,
    estimator,
    checker,
    uploadChecks,
  ];
  app.addHook('onClose', async () => {
    for (const each of running) await each.close();
  });

  await app.register(healthRoutes);
  await app.register(llmsTextRoutes);
  await app.register(clientPackageRoutes, { file: settings.clientPackage });
  await app.register(dashboard, settings);
  await app.register(scimRoutes, { ...settings, prefix: '/scim/v2' });
  await app.register(
    async (v1) => {
      await v1.register(turns);
      await v1.register(auth, settings);
      await v1.register(mcpRoutes);
      await v1.register(signInRoutes, settings);
      await v1.register(meRoutes, settings);
      await v1.register(fileRoutes, { settings, checks: uploadChecks });
      await v1.register(fileReportRoutes, { reporter, checker });
      await v1.register(uploadRoutes, { settings, checks: uploadChecks });
      await v1.register(createJobRoutes, { validator, checker, writer });
      await v1.register(fineTuningJobRoutes, { writer });
      await v1.register(jobRecordRoutes);
      await v1.register(jobOverviewRoutes, { settings, writer });
      await v1.register(jobOptionRoutes);
      await v1.register(jobCheckRoutes, { estimator, checker });
      await v1.register(estimateRoutes, { estimator, checker });
      await v1.register(jobEventRoutes, { settings });
      await v1.register(checkpointRoutes);
      await v1.register(adapterRoutes);
      await v1.register(adapterUploadRoutes, { settings });
      await v1.register(adapterCombinationRoutes, { settings });
      await v1.register(adapterTagRoutes);
      await v1.register(adapterDeletionRoutes);
      await v1.register(adapterHistoryRoutes);
      await v1.register(exportRoutes);
      await v1.register(publicationRoutes);
      await v1.register(modelRoutes);
      await v1.register(chatCompletionRoutes, { settings, checker });
      await v1.register(completionRoutes, { settings });
      await v1.register(embeddingRoutes, { settings });
      await v1.register(classifyRoutes, { settings });
      await v1.register(teamRoutes);
      await v1.register(quotaRoutes);
      await v1.register(memberRoutes);
      await v1.register(invitationRoutes, settings);
      await v1.register(teamKeyRoutes);
      await v1.register(auditRoutes);
      await v1.register(adminTeamRoutes);
      await v1.register(adminTeamAccessRoutes);
      await v1.register(adminPeopleRoutes);
      await v1.register(adminWorkerRoutes);
      await v1.register(adminServiceRoutes);
      await v1.register(adminAuditRoutes);
      await v1.register(adminUsageRoutes);
      await v1.register(adminBaseModelRoutes, { fetcher });
      await v1.register(webhookRoutes);
      await v1.register(integrationRoutes);
      await v1.register(exitRoutes);
      await v1.register(deployTargetRoutes);
      await v1.register(usageRoutes);
    },
    { prefix: '/v1' },
  );
  return app;
}
