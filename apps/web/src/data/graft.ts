import { GraftClient } from '@graft/client';

/** The API of this server. The browser adds the cookie of the session. */
export const graft = new GraftClient({
  baseUrl: `${location.origin}/v1`,
  apiKey: null,
  // Enough for a passing fault; what lasts is shown, and tried again by whoever looks at it.
  maxRetries: 1,
  timeout: 60_000,
});
