/** Texts that documentation has in place of a secret. */
const examples = /change[-_ ]?(me|this|it)|replace[-_ ]?(me|this|with)|^<.*>$/i;

/** Values that people type just to fill in something. */
const fillers = [
  /^(your|my)[-_ ]?(\w+[-_ ])?(secret|pepper|token|key|password)\b/i,
  /^(example|placeholder|insert|fixme|todo)\b/i,
  /^(secret|password|pepper|token|default|dummy|sample)[-_ ]?(secret|password|pepper|token|key|value)?[-_ 0-9]*$/i,
  /^(0123456789|1234567890|abcdefghij)/i,
  // One or two repeated characters.
  /^(.{1,2})\1+.?$/s,
];

/** Returns whether an external secret, such as a password, is copied from an example. */
export function isExample(value: string): boolean {
  return examples.test(value);
}

/** Returns whether one of Graft's own secrets is a placeholder that anybody could guess. */
export function isPlaceholder(value: string): boolean {
  return isExample(value) || fillers.some((pattern) => pattern.test(value));
}

/** Returns whether the password in a URL is copied from an example. */
export function hasExamplePassword(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { password } = new URL(url);
  // Checks both the raw text and the text with %2D as a hyphen, because the Postgres client accepts a % that escapes nothing.
  return isExample(password) || isExample(password.replaceAll(/%2D/gi, '-'));
}
