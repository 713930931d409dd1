import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  acceptInvitation,
  createInvitation,
  listInvitations,
  previewInvitation,
  revokeInvitation,
} from '@graft/service/people';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import {
  AcceptedInvitationSchema,
  AcceptInvitationSchema,
  CreatedInvitationSchema,
  CreateInvitationSchema,
  InvitationParams,
  InvitationPreviewSchema,
  InvitationSchema,
  ListQuery,
  PreviewInvitationSchema,
  RevokedInvitationSchema,
} from '@graft/wire/team';
import { Type } from 'typebox';
import { toWireList, unixSeconds } from '../../answers/list.ts';
import { toWireInvitation } from '../../answers/team.ts';
import { ApiError } from '../../api-error.ts';
import { found } from '../../not-found.ts';
import type { SignInSettings } from '../../sign-in/sign-in-settings.ts';
import { operations } from '../operation.ts';

const operation = operations('Team');
const reading = { access: { scope: 'team:read', role: 'admin', models: 'none' } } as const;
const writing = { access: { scope: 'team:write', role: 'admin', models: 'none', answer: 'own' } } as const;

/** /team/invitations, and /invitations/accept for people who have the link but no key yet. */
export const invitationRoutes: FastifyPluginAsyncTypebox<{ signIn: SignInSettings }> = async (
  app,
  { signIn },
) => {
  const { services } = app;

  app.get(
    '/team/invitations',
    operation(reading, 'List invitations', listOf(InvitationSchema), {
      description: 'Newest first, without their tokens.',
      querystring: ListQuery,
    }),
    async ({ caller, query }) =>
      toWireList(await listInvitations(services, caller.teamId, query), toWireInvitation),
  );

  app.post(
    '/team/invitations',
    operation(writing, 'Invite a person', ref(CreatedInvitationSchema), {
      description:
        'The token for the link is returned only once, and can be used once. A key that is limited in scopes or models cannot invite.',
      body: ref(CreateInvitationSchema),
    }),
    async ({ caller, body }) => {
      const { invitation, token } = await createInvitation(
        services,
        caller.teamId,
        { email: body.email ?? null, role: body.role ?? 'member', expiresIn: body.expires_in },
        caller,
      );
      return { ...toWireInvitation(invitation), token };
    },
  );

  app.delete(
    '/team/invitations/:invitation_id',
    operation(writing, 'Revoke an invitation', ref(RevokedInvitationSchema), {
      description:
        'The link stops working immediately. An accepted invitation is not found: remove the member instead.',
      params: InvitationParams,
    }),
    async ({ caller, params: { invitation_id: id } }) => {
      found(await revokeInvitation(services, caller.teamId, id, caller), 'invitation', id);
      return { id, object: 'team.invitation' as const, deleted: true as const };
    },
  );

  app.get(
    '/invitations/accept',
    {
      config: { access: 'public' },
      schema: {
        tags: ['Team'],
        summary: 'Open an invitation link',
        description:
          'For browsers: redirects to the page that accepts the invitation. The token is in the fragment of the link (after `#`), which browsers keep during the redirect and do not send to the server.',
        security: [],
        response: { 302: Type.Null({ description: 'Redirect to the page.' }) },
      },
    },
    async (_request, reply) => reply.redirect('/invitations/accept', 302),
  );

  app.post(
    '/invitations/preview',
    {
      // Small, since anyone may send it.
      bodyLimit: 8 * 1024,
      ...operation({ access: 'public' }, 'Preview an invitation', ref(InvitationPreviewSchema), {
        description:
          'Authenticated by the token of the link, which stays usable: shows to which team, and by whom, somebody is invited.',
        security: [],
        body: ref(PreviewInvitationSchema),
      }),
    },
    async (request) => {
      const { token } = request.body;
      const preview = () => previewInvitation(services, token);
      // `preview` never resolves to null.
      const found = (await app.rates.lookUp(request, token, preview, ['invalid_invitation']))!;
      return {
        object: 'invitation.preview' as const,
        team_name: found.teamName,
        role: found.role,
        invited_by: found.invitedBy,
        expires_at: unixSeconds(found.expiresAt),
      };
    },
  );

  app.post(
    '/invitations/accept',
    {
      // Small, since anyone may send it.
      bodyLimit: 8 * 1024,
      ...operation({ access: 'public' }, 'Accept an invitation', ref(AcceptedInvitationSchema), {
        errors: [403],
        description:
          'Authenticated by the token of the link, which can be used once, instead of a key. Returns a key of the person for the team, only once. `email` is required if the invitation names none. Refused if a sign-in provider is configured: people then sign in and accept with POST /v1/me/invitations.',
        security: [],
        body: ref(AcceptInvitationSchema),
      }),
    },
    async (request) => {
      if (signIn.oidc) {
        throw new ApiError(
          'sign_in_required',
          'People join here by signing in at the provider: open the link in a browser and continue with your organisation. The invitation is still valid.',
        );
      }
      const { token, email, name } = request.body;
      const accept = () => acceptInvitation(services, token, { email, name });
      // `accept` never resolves to null.
      const accepted = (await app.rates.lookUp(request, token, accept, ['invalid_invitation']))!;
      const { person } = accepted;
      return {
        object: 'invitation.accepted' as const,
        team: { id: accepted.teamId, name: accepted.teamName },
        role: accepted.role,
        person: { id: person.id, email: person.email, name: person.name },
        key_id: accepted.keyId,
        key: accepted.key,
      };
    },
  );
};
