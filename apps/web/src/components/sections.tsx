import { Link, useLocation } from 'wouter-preact';
import '../styles/components/sections.css';
import { useCurrentInSight } from './current-in-sight.ts';

/** The parts of a page, each with an address of its own; the one whose address begins the page's is shown. The first has the page's own. */
export function Sections({
  label,
  items,
}: {
  label: string;
  items: readonly (readonly [href: string, text: string])[];
}) {
  const [path] = useLocation();
  const here = items.findLast(([href]) => path === href || path.startsWith(`${href}/`))?.[0];
  const row = useCurrentInSight(here);
  return (
    <nav class="sections" aria-label={label} ref={row}>
      {items.map(([href, text]) => (
        <Link key={href} href={href} aria-current={href === here ? 'page' : undefined}>
          {text}
        </Link>
      ))}
    </nav>
  );
}
