/** The page on which whoever was invited joins. The token stands behind a #, which browsers keep to themselves. */
export const invitationLink = (token: string): string => `${location.origin}/invitations/accept#${token}`;
