/** A matrix in float64 whose columns are arrays: work on whole columns is fast then. */
export interface Columns {
  rows: number;
  columns: Float64Array[];
}

/** `matrix = left · diag(values) · rightᵀ`, values in descending order. A column of `left` with the value 0 is 0. */
interface SingularValues {
  left: Columns;
  values: number[];
  right: Columns;
}

/**
 * The best approximation of `b · a` of the given rank, as factors `b · scale` and `a` with orthonormal rows: `b` `(rows, n)`, `aTransposed`
 * `(width, n)`. The product is never computed: each factor is reduced to a triangular matrix by Householder's method, and the product of
 * these has the same singular values.
 */
export function bestOfRank(
  b: Columns,
  aTransposed: Columns,
  rank: number,
): { b: Columns; aTransposed: Columns } {
  const [ofB, ofA] = [triangular(b), triangular(aTransposed)];
  const { left, values, right } = singularValues(timesTransposed(ofB.r, ofA.r));
  const kept = Math.min(rank, values.length);
  const scaled = {
    rows: left.rows,
    columns: left.columns.slice(0, kept).map((column, i) => column.map((value) => value * values[i]!)),
  };
  return {
    b: ofB.times(scaled),
    aTransposed: ofA.times({ rows: right.rows, columns: right.columns.slice(0, kept) }),
  };
}

/** QR decomposition of a matrix; one with more columns than rows stays as it is. `times` multiplies Q with a matrix. */
function triangular(matrix: Columns): { r: Columns; times(right: Columns): Columns } {
  const { rows } = matrix;
  const n = matrix.columns.length;
  if (n >= rows) return { r: matrix, times: (right) => right };
  const work = matrix.columns.map((column) => column.slice());
  const reflections: Float64Array[] = [];
  for (let k = 0; k < n; k++) {
    const v = new Float64Array(rows);
    v.set(work[k]!.subarray(k), k);
    const norm = Math.sqrt(dot(v, v));
    v[k]! += v[k]! >= 0 ? norm : -norm;
    const length = Math.sqrt(dot(v, v));
    if (length > 0) for (let i = k; i < rows; i++) v[i]! /= length;
    reflections.push(v);
    for (let j = k; j < n; j++) subtract(work[j]!, v, 2 * dot(work[j]!, v));
  }
  const r = { rows: n, columns: work.map((column) => column.slice(0, n)) };
  for (let j = 0; j < n; j++) r.columns[j]!.fill(0, j + 1);
  return {
    r,
    times: (right) => ({
      rows,
      columns: right.columns.map((column) => {
        const product = new Float64Array(rows);
        product.set(column);
        for (let k = n - 1; k >= 0; k--)
          subtract(product, reflections[k]!, 2 * dot(product, reflections[k]!));
        return product;
      }),
    }),
  };
}

/** `left · rightᵀ`. */
function timesTransposed(left: Columns, right: Columns): Columns {
  const columns = Array.from({ length: right.rows }, () => new Float64Array(left.rows));
  for (let k = 0; k < left.columns.length; k++)
    for (let j = 0; j < right.rows; j++) subtract(columns[j]!, left.columns[k]!, -right.columns[k]![j]!);
  return { rows: left.rows, columns };
}

/** Rotations stop when two columns' cosine is below this; float64 has 2e-16. */
const orthogonal = 1e-15;
/** More sweeps than any matrix needs: each squares the remaining error. */
const maxSweeps = 60;

/**
 * Rotates pairs of columns until all are orthogonal. Source: Hestenes 1958, "Inversion of matrices by biorthogonalization and related
 * results". Small singular values are as exact as large ones.
 */
function singularValues(matrix: Columns): SingularValues {
  const wide = matrix.columns.length > matrix.rows;
  const u = wide ? transposed(matrix).columns : matrix.columns.map((column) => column.slice());
  const n = u.length;
  const v = Array.from({ length: n }, (_, i) => {
    const unit = new Float64Array(n);
    unit[i] = 1;
    return unit;
  });
  for (let sweep = 0, rotated = true; rotated && sweep < maxSweeps; sweep++) {
    rotated = false;
    for (let i = 0; i < n - 1; i++)
      for (let j = i + 1; j < n; j++) {
        const [alpha, beta, gamma] = [dot(u[i]!, u[i]!), dot(u[j]!, u[j]!), dot(u[i]!, u[j]!)];
        if (Math.abs(gamma) <= orthogonal * Math.sqrt(alpha * beta)) continue;
        rotated = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const tangent = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, tangent);
        rotate(u[i]!, u[j]!, cosine, cosine * tangent);
        rotate(v[i]!, v[j]!, cosine, cosine * tangent);
      }
  }
  const norms = u.map((column) => Math.sqrt(dot(column, column)));
  const order = norms.map((_, i) => i).sort((a, b) => norms[b]! - norms[a]!);
  const left = {
    rows: wide ? matrix.columns.length : matrix.rows,
    columns: order.map((i) => u[i]!.map((value) => (norms[i]! > 0 ? value / norms[i]! : 0))),
  };
  const right = { rows: n, columns: order.map((i) => v[i]!) };
  const values = order.map((i) => norms[i]!);
  return wide ? { left: right, values, right: left } : { left, values, right };
}

function transposed({ rows, columns }: Columns): Columns {
  return {
    rows: columns.length,
    columns: Array.from({ length: rows }, (_, i) => Float64Array.from(columns, (column) => column[i]!)),
  };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function subtract(from: Float64Array, direction: Float64Array, times: number): void {
  for (let i = 0; i < from.length; i++) from[i]! -= times * direction[i]!;
}

function rotate(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}
