import type { ComponentChildren } from 'preact';

/** Empty state: what would be here, and the next step. */
export const Empty = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <section class="empty panel">
    <h2>{title}</h2>
    {children}
  </section>
);
