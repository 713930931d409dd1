import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { listAuditHeads, verifyAudit } from '@graft/service/audit';
import { AuditChainParams, AuditChainSchema, AuditCheckQuery, AuditCheckSchema } from '@graft/wire/audit';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { ListQuery } from '@graft/wire/team';
import { chainOf, toWireAuditChain, toWireAuditCheck } from '../../answers/audit.ts';
import { toWireList } from '../../answers/list.ts';
import { ApiError } from '../../api-error.ts';
import { operation } from './operation.ts';

/** /admin/audit: verifies that the audit log is unchanged. Shows no entries. */
export const adminAuditRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/admin/audit/chains',
    operation('List the audit chains', listOf(AuditChainSchema), {
      description:
        'Returns one chain per team, including deleted teams, and one for the installation, each with its last hash.',
      querystring: ListQuery,
    }),
    async ({ query: { after, limit } }) => {
      const page = { after: after === undefined ? undefined : chainOf(after), limit };
      return toWireList(await listAuditHeads(services, page), toWireAuditChain);
    },
  );

  app.get(
    '/admin/audit/chains/:chain_id/check',
    operation('Verify a page of an audit chain', ref(AuditCheckSchema), {
      description: 'Computes the hashes again and returns the first entry that is missing or was changed.',
      params: AuditChainParams,
      querystring: AuditCheckQuery,
    }),
    async ({ params, query }) => {
      const chain = chainOf(params.chain_id);
      const check = await verifyAudit(services, chain, query);
      const isEmpty = check.last.sequence === 0 && check.fault === null;
      if (isEmpty && chain !== '') {
        throw new ApiError('team_not_found', `There is no audit chain ${params.chain_id}.`, {
          param: 'chain_id',
        });
      }
      return toWireAuditCheck(check);
    },
  );
};
