import '../styles/components/waiting.css';

/** Keeps the place of what has not come yet. */
export const Waiting = ({ height = '16rem' }: { height?: string }) => (
  <div class="waiting" style={{ minHeight: height }} role="status">
    <span class="visually-hidden">Loading</span>
  </div>
);
