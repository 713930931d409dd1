/** True for a data set of the Hub, `hf://datasets/organisation/name?split=train`. A number after a colon is no part of it. */
export const isHubSource = (text: string): boolean => /^hf:\/\/[^:]+$/.test(text);
