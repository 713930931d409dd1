import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { exportAudit, listAudit } from '@graft/service/audit';
import { AuditEntrySchema, ExportAuditQuery, ListAuditQuery } from '@graft/wire/audit';
import { listOf } from '@graft/wire/list';
import { auditCsvHead, auditFilter, toCsvAuditEntry, toWireAuditEntry } from '../../answers/audit.ts';
import { toWireList } from '../../answers/list.ts';
import { operations } from '../operation.ts';

const operation = operations('Team');
const reading = { access: { scope: 'audit:read', role: 'admin', models: 'all' } } as const;

export const auditRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/audit',
    operation(reading, 'List audit log entries', listOf(AuditEntrySchema), {
      description: 'Newest first. Entries are never changed or removed.',
      querystring: ListAuditQuery,
    }),
    async ({ caller, query }) =>
      toWireList(await listAudit(services, caller.teamId, auditFilter(query)), toWireAuditEntry),
  );

  app.get(
    '/audit/export',
    {
      config: reading,
      schema: {
        tags: ['Team'],
        summary: 'Export the audit log',
        description:
          'As JSON lines or CSV, oldest first. To continue, set `after` to the id of the last entry.',
        querystring: ExportAuditQuery,
        produces: ['application/x-ndjson', 'text/csv'],
      },
    },
    async ({ caller, query: { format, ...query } }, reply) => {
      const batches = exportAudit(services, caller.teamId, auditFilter(query));
      reply.header('content-disposition', `attachment; filename="audit.${format}"`);
      if (format === 'csv') {
        return reply.stream('text/csv; charset=utf-8', async function* (signal) {
          yield auditCsvHead;
          for await (const rows of batches) {
            if (signal.aborted) return;
            yield rows.map(toCsvAuditEntry).join('');
          }
        });
      }
      return reply.stream('application/x-ndjson', async function* (signal) {
        for await (const rows of batches) {
          if (signal.aborted) return;
          yield rows.map((row) => `${JSON.stringify(toWireAuditEntry(row))}\n`).join('');
        }
      });
    },
  );
};
