/** The index at which the last occurrence of `wanted` in `ids` starts; null if there is none. */
export function lastMatch(ids: ArrayLike<number>, wanted: readonly number[]): number | null {
  for (let start = ids.length - wanted.length; start >= 0; start--) {
    let same = 0;
    while (same < wanted.length && ids[start + same] === wanted[same]) same++;
    if (same === wanted.length) return start;
  }
  return null;
}
