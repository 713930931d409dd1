/** The cosine of every vector with every other, by row. */
export function cosines(vectors: readonly (readonly number[])[]): number[][] {
  const lengths = vectors.map((vector) => Math.hypot(...vector));
  return vectors.map((a, i) =>
    vectors.map((b, j) => {
      const product = a.reduce((sum, x, k) => sum + x * b[k]!, 0);
      const length = lengths[i]! * lengths[j]!;
      return length === 0 ? 0 : product / length;
    }),
  );
}
