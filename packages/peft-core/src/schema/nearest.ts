/**
 * The `limit` candidates closest to `word`, best first, for "did you mean" messages.
 * Edit distance counts insertions, deletions, substitutions and swapped neighbours; candidates that share less than
 * half of their letters with the word are not suggested.
 */
export function nearest(word: string, candidates: Iterable<string>, limit = 1): string[] {
  const query = word.toLowerCase().slice(0, 128);
  return [...new Set(candidates)]
    .map((candidate) => ({ candidate, distance: editDistance(query, candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(query.length, candidate.length) / 2)
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

/** Optimal string alignment distance. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(substitution, (last[j] as number) + 1, (row[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] as number) + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] as number;
}
