/** How much of a piece is looked for where a text is not its pieces one after the other, and how far from where it should be. */
const ANCHOR = 32;
const NEARBY = 96;

/**
 * Where a piece of a text ends in what the text became, when what comes before it ends at `at`. A normaliser may have changed where two
 * pieces meet: then the piece is looked for nearby.
 */
export function endOfPiece(whole: string, piece: string, at: number): number {
  if (whole.startsWith(piece, at)) return at + piece.length;
  const expected = Math.min(whole.length, at + piece.length);
  const last = piece.slice(-ANCHOR);
  const nearby = whole.slice(Math.max(at, expected - NEARBY), expected + NEARBY);
  const found = nearby.indexOf(last);
  return found === -1 ? expected : Math.max(at, expected - NEARBY) + found + last.length;
}
