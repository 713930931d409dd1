/** The matrix `(rows, columns)` as `(columns, rows)`, written into `to`. */
export function transpose(
  values: Float32Array,
  [rows = 1, columns = 1]: readonly number[],
  to: Float32Array = new Float32Array(values.length),
): Float32Array {
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      to[column * rows + row] = values[row * columns + column]!;
  return to;
}
