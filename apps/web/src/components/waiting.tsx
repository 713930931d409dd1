/** Placeholder with the size of content that is loading. */
export const Waiting = ({ height = '16rem' }: { height?: string | undefined }) => (
  <div class="waiting" style={{ minHeight: height }} role="status">
    <span class="visually-hidden">Loading</span>
  </div>
);
