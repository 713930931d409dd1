/** Length of a piece's end to search for if the text is not the concatenation of its pieces, and how far from the expected place. */
const ANCHOR = 32;
const NEARBY = 96;

/**
 * End of a text's piece in the normalised text, if the part before it ends at `at`. The normaliser may have changed the text where two
 * pieces meet: then the piece is searched for nearby.
 */
export function endOfPiece(whole: string, piece: string, at: number): number {
  if (whole.startsWith(piece, at)) return at + piece.length;
  const expected = Math.min(whole.length, at + piece.length);
  const last = piece.slice(-ANCHOR);
  const nearby = whole.slice(Math.max(at, expected - NEARBY), expected + NEARBY);
  const found = nearby.indexOf(last);
  return found === -1 ? expected : Math.max(at, expected - NEARBY) + found + last.length;
}
