/** URL of the page that accepts an invitation. The token is in the fragment, which browsers do not send to servers. */
export const invitationLink = (token: string): string => `${location.origin}/invitations/accept#${token}`;
