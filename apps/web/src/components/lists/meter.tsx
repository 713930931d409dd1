/** Progress bar; `value` from 0 to 1. */
export const Meter = ({ value, label }: { value: number; label: string }) => (
  <span
    class="meter"
    role="progressbar"
    aria-label={label}
    aria-valuemin={0}
    aria-valuemax={100}
    aria-valuenow={Math.round(value * 100)}
  >
    <span style={{ width: `${Math.min(100, value * 100)}%` }} />
  </span>
);
