/** Most comparisons of two lists: those of the previews of a pair, which have 512 tokens each. */
const maxComparisons = 512 * 512;

/** For each element of two lists, whether it is outside their longest common subsequence. Longer lists differ from end to end. */
export function differences<T>(a: readonly T[], b: readonly T[]): [inA: boolean[], inB: boolean[]] {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const [rows, columns] = [a.length - start - end, b.length - start - end];
  const inA = a.map((_, i) => i >= start && i < a.length - end);
  const inB = b.map((_, i) => i >= start && i < b.length - end);
  if (rows * columns > maxComparisons) return [inA, inB];

  // lengths[i, j]: length of the longest common subsequence of what follows i and j.
  const width = columns + 1;
  const lengths = new Uint16Array((rows + 1) * width);
  const lengthAt = (i: number, j: number) => lengths[i * width + j]!;
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      const isSame = a[start + i] === b[start + j];
      lengths[i * width + j] = isSame
        ? lengthAt(i + 1, j + 1) + 1
        : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1));
    }
  }
  for (let i = 0, j = 0; i < rows && j < columns; ) {
    if (a[start + i] === b[start + j]) {
      inA[start + i++] = false;
      inB[start + j++] = false;
    } else if (lengthAt(i + 1, j) >= lengthAt(i, j + 1)) i++;
    else j++;
  }
  return [inA, inB];
}
