import { GraftClient } from '@graft/client';

/** Sent to the window when the API refuses the cookie: the session has ended meanwhile. */
export const refusedEvent = 'graft-refused';

/** The API of this server. The browser adds the cookie of the session. */
export const graft = new GraftClient({
  baseUrl: `${location.origin}/v1`,
  apiKey: null,
  // Enough for a passing fault; what lasts is shown, and tried again by whoever looks at it.
  maxRetries: 1,
  timeout: 60_000,
  fetch: async (input, init) => {
    const response = await fetch(input, init);
    if (response.status === 401) dispatchEvent(new Event(refusedEvent));
    return response;
  },
});
