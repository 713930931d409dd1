import { GraftApiError } from '@graft/client';

/** How one comes to a team: as the person whom the provider vouched for, or by the link alone. */
type Way = 'person' | 'link';

const advice: Record<string, Record<Way, string>> = {
  wrong_invitation_email: {
    person: 'Sign out and in again as whom it is for, or ask for an invitation for your email.',
    link: 'Give the one that the link was sent to, or ask for an invitation for yours.',
  },
  already_member: {
    person:
      'There is nothing to join: choose the team beside your name on the pages, and give the link back.',
    link: 'Sign in instead; whoever lost the key asks an admin of the team how to come in.',
  },
};

/** What to do about it, beside what the API says. */
export const adviceOf = (error: unknown, way: Way): string | undefined =>
  error instanceof GraftApiError ? advice[error.code ?? '']?.[way] : undefined;
