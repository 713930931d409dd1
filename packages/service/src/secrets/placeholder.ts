/** Parts that examples hold in place of a secret. */
const examples = /change[-_ ]?(me|this|it)|replace[-_ ]?(me|this|with)|^<.*>$/i;

/** What somebody types to have something there. */
const fillers = [
  /^(your|my)[-_ ]?(\w+[-_ ])?(secret|pepper|token|key|password)\b/i,
  /^(example|placeholder|insert|fixme|todo)\b/i,
  /^(secret|password|pepper|token|default|dummy|sample)[-_ ]?(secret|password|pepper|token|key|value)?[-_ 0-9]*$/i,
  /^(0123456789|1234567890|abcdefghij)/i,
  // One or two characters again and again.
  /^(.{1,2})\1+.?$/s,
];

/** Whether a secret of others, such as a password, is still that of an example. */
export function isExample(value: string): boolean {
  return examples.test(value);
}

/** Whether a secret of Graft's own is none: everybody knows or guesses it. */
export function isPlaceholder(value: string): boolean {
  return isExample(value) || fillers.some((pattern) => pattern.test(value));
}

/** Whether the password in a URL is still that of an example. */
export function hasExamplePassword(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { password } = new URL(url);
  // As it is, and with %2D for a hyphen. Postgres' client takes a percent sign that escapes nothing.
  return isExample(password) || isExample(password.replaceAll(/%2D/gi, '-'));
}
