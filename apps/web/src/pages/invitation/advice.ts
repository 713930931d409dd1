import { GraftApiError } from '@graft/client';

/** How a user joins a team: as a person signed in with the identity provider, or with only the link. */
type JoinMethod = 'person' | 'link';

const advice: Record<string, Record<JoinMethod, string>> = {
  wrong_invitation_email: {
    person: 'Sign in with the invited email, or ask for an invitation for your email.',
    link: 'Enter the email that was invited, or ask for an invitation for yours.',
  },
  already_member: {
    person: 'You are already a member. Select the team next to your name.',
    link: 'Sign in instead. If you lost your key, ask a team admin.',
  },
};

/** What to do about an error, in addition to the API's message. */
export const adviceFor = (error: unknown, method: JoinMethod): string | undefined =>
  error instanceof GraftApiError ? advice[error.code ?? '']?.[method] : undefined;
