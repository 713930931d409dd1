import type { ComponentChildren } from 'preact';
import '../styles/components/empty.css';

/** Empty state: what would be here, and the next step. */
export const Empty = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <section class="empty panel">
    <h2>{title}</h2>
    {children}
  </section>
);
