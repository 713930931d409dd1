import { Link, useLocation } from 'wouter-preact';
import '../styles/components/tabs.css';
import { useScrollIntoView } from './use-scroll-into-view.ts';

/** Navigation between the sections of a page, each with its own URL. */
export function Sections({
  label,
  items,
}: {
  label: string;
  items: readonly (readonly [href: string, text: string])[];
}) {
  const [path] = useLocation();
  const current = items.findLast(([href]) => path === href || path.startsWith(`${href}/`))?.[0];
  const row = useScrollIntoView(current);
  return (
    <nav class="tabs" aria-label={label} ref={row}>
      {items.map(([href, text]) => (
        <Link key={href} href={href} aria-current={href === current ? 'page' : undefined}>
          {text}
        </Link>
      ))}
    </nav>
  );
}
