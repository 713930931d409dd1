/** Cells that [-1, 1] is cut into. */
const CELLS = 256;

/**
 * Finds the nearest value of an ascending code book for numbers in [-1, 1]: `codeOf(x)` is its index, the lower one half-way
 * between two. The midpoints are float32, as bitsandbytes compares with them.
 */
export function nearestCode(codeBook: Float32Array): (x: number) => number {
  const midpoints = Float32Array.from({ length: codeBook.length - 1 }, (_, i) =>
    Math.fround(Math.fround(codeBook[i]! + codeBook[i + 1]!) / 2),
  );
  // The first midpoint at or above each cell's lower edge, so that a search starts next to its end.
  const first = Uint8Array.from({ length: CELLS + 1 }, (_, cell) => {
    const edge = (2 * cell) / CELLS - 1;
    const at = midpoints.findIndex((midpoint) => midpoint >= edge);
    return at === -1 ? midpoints.length : at;
  });
  return (x) => {
    let code = first[Math.max(0, ((x + 1) * (CELLS / 2)) | 0)]!;
    while (code < midpoints.length && x > midpoints[code]!) code++;
    return code;
  };
}
