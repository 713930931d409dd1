import { GraftClient } from '@graft/client';

/** Dispatched on the window when the API answers 401: the session has ended. */
export const sessionEndedEvent = 'graft-session-ended';

/** Client of this server's API. The browser adds the session cookie. */
export const graft = new GraftClient({
  baseUrl: `${location.origin}/v1`,
  apiKey: null,
  // Enough for a transient error. Pages show persistent ones with a retry button.
  maxRetries: 1,
  timeout: 60_000,
  fetch: async (input, init) => {
    const response = await fetch(input, init);
    if (response.status === 401) dispatchEvent(new Event(sessionEndedEvent));
    return response;
  },
});
