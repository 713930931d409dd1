/** Cells that cannot be, `architecture × method`, and why; docs/methods.md tells the same to users. */
export const exceptions: Record<string, string> = {};
