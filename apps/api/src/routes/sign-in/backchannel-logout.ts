import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { endProviderSessions } from '@graft/service/sessions';
import { LogoutTokenSchema } from '@graft/wire/session';
import { ApiError } from '../../api-error.ts';
import type { OidcClient } from '../../sign-in/oidc-client.ts';

const form = 'application/x-www-form-urlencoded';

/** /sign-in/backchannel-logout (OpenID Connect Back-Channel Logout 1.0): the provider reports sessions that it has ended. */
export const backchannelLogoutRoutes: FastifyPluginAsyncTypebox<{ provider: OidcClient | null }> = async (
  app,
  { provider },
) => {
  const { services } = app;
  // Only for this route: no other route reads forms.
  app.addContentTypeParser(
    form,
    { parseAs: 'string', bodyLimit: 16 * 1024 },
    async (_: unknown, body: string) => Object.fromEntries(new URLSearchParams(body)),
  );

  app.post(
    '/sign-in/backchannel-logout',
    {
      bodyLimit: 16 * 1024,
      config: { access: 'public' },
      // Hidden, since only the provider uses it, and knows the format from the standard.
      schema: { hide: true, body: LogoutTokenSchema },
    },
    async (request, reply) => {
      if (!provider) {
        throw new ApiError('sign_in_not_configured', 'No sign-in provider is configured.');
      }
      reply.header('cache-control', 'no-store');
      // Waiting for the provider's keys must not block other requests.
      reply.endTurn();
      const logout = await provider.readLogout(request.body.logout_token);
      const sessions = await endProviderSessions(services, logout);
      return { object: 'provider_logout' as const, sessions };
    },
  );
};
