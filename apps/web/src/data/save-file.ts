/** Gives a text to the browser as a file to be kept. */
export function saveFile(name: string, type: string, parts: string[]): void {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The click has taken it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
