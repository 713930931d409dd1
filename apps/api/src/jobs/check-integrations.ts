import { listIntegrations } from '@graft/service/integrations';
import type { Identity } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import type { JobIntegrationRequest } from '@graft/wire/integration';
import { ApiError } from '../api-error.ts';

/**
 * Checks the destinations of a job's metrics: at most one of each type, and only types that the team has set up. Throws ApiError
 * `missing_required_parameter`, `unknown_parameter`, `invalid_value`, `integration_not_found` (400).
 */
export async function checkIntegrations(
  services: Services,
  { teamId }: Identity,
  asked: readonly JobIntegrationRequest[],
): Promise<JobIntegrationRequest[]> {
  if (asked.length === 0) return [];
  const types = asked.map(({ type }) => type);
  for (const [i, integration] of asked.entries()) {
    const { type } = integration;
    if (!Object.hasOwn(integration, type)) {
      const param = `integrations[${i}].${type}`;
      throw new ApiError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
    }
    const odd = Object.keys(integration).find((name) => name !== 'type' && name !== type);
    if (odd !== undefined) {
      const param = `integrations[${i}].${odd}`;
      throw new ApiError('unknown_parameter', `Unknown parameter: '${param}': the type is ${type}.`, {
        param,
      });
    }
  }
  const twice = types.find((type, i) => types.indexOf(type) < i);
  if (twice !== undefined) {
    throw new ApiError('invalid_value', `Invalid 'integrations': ${twice} occurs twice.`, {
      param: 'integrations',
    });
  }
  const known = await listIntegrations(services, teamId);
  for (const [i, type] of types.entries()) {
    const found = known.find((integration) => integration.type === type);
    if (found?.disabledAt)
      throw new ApiError(
        'integration_disabled',
        `The ${type} integration of your team is disabled: ${found.disabledReason} An admin enables it by setting its URL or secret again.`,
        { param: `integrations[${i}].type` },
      );
    if (found) continue;
    throw new ApiError(
      'integration_not_found',
      `Your team has no ${type} integration: an admin creates it with \`graft integrations set ${type}\`, or POST /v1/integrations/${type}.`,
      { status: 400, param: `integrations[${i}].type` },
    );
  }
  return [...asked];
}
