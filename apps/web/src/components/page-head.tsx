import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Link } from 'wouter-preact';
import '../styles/components/page-head.css';
import { Icon } from './icon.tsx';

/** A page's heading, which also sets the document title. It gets focus on navigation, so that screen readers announce the page. */
export function PageHead({
  title,
  up,
  actions,
  children,
}: {
  title: string;
  /** Link to the parent page. */
  up?: { href: string; text: string };
  actions?: ComponentChildren;
  children?: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Graft`;
  }, [title]);
  useEffect(() => {
    if (document.activeElement === document.body) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <header class="page-head">
      <div class="page-head-text">
        {up && (
          <Link href={up.href} class="page-parent">
            <Icon name="back" /> {up.text}
          </Link>
        )}
        <h1 ref={heading} tabIndex={-1} class="clamp" title={title}>
          {title}
        </h1>
        {children}
      </div>
      {actions && <div class="row">{actions}</div>}
    </header>
  );
}
