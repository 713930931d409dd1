const width = 96;
const height = 24;

/** A small line chart; `label` describes it for screen readers. With fewer than two values it is empty, and keeps its size. */
export function Sparkline({ values, label }: { values: readonly number[]; label: string }) {
  const finite = values.filter(Number.isFinite);
  const low = Math.min(...finite);
  const span = Math.max(...finite) - low || 1;
  const points = finite.map(
    (value, i) =>
      `${((i * width) / (finite.length - 1)).toFixed(1)},${(height - 2 - ((value - low) / span) * (height - 4)).toFixed(1)}`,
  );
  return (
    <svg class="sparkline" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      {finite.length > 1 && <polyline points={points.join(' ')} />}
    </svg>
  );
}
