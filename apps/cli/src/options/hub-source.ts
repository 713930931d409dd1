/** True where a text refers to a data set of the Hub, `hf://datasets/organisation/name?split=train`. A number after a colon is not part of it. */
export const isHubSource = (text: string): boolean => /^hf:\/\/[^:]+$/.test(text);
