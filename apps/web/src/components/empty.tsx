import type { ComponentChildren } from 'preact';
import '../styles/components/empty.css';

/** Where nothing is yet: what would be here, and the next step to it. */
export const Empty = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <section class="empty">
    <h2>{title}</h2>
    {children}
  </section>
);
