import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { Icon } from './icon.tsx';
import { Problem } from './problem.tsx';

interface Parent {
  href: string;
  text: string;
}

export const ParentLink = ({ href, text }: Parent) => (
  <Link href={href} class="page-parent">
    <Icon name="back" /> {text}
  </Link>
);

/** A page's heading, which also sets the document title. It gets focus on navigation, so that screen readers announce the page. */
export function PageHead({
  title,
  up,
  actions,
  children,
}: {
  title: string;
  /** Link to the parent page. */
  up?: Parent;
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
    <header class="section-head page-head">
      <div class="page-head-text">
        {up && <ParentLink {...up} />}
        <h1 ref={heading} tabIndex={-1} class="clamp" title={title}>
          {title}
        </h1>
        {children}
      </div>
      {actions && <div class="row">{actions}</div>}
    </header>
  );
}

/** The page of a resource that is not loaded: its heading, and the error if there is one. */
export const PendingPage = ({
  title,
  up,
  query: { error, refetch },
}: {
  title: string;
  up: Parent;
  query: { error: unknown; refetch: () => unknown };
}) => (
  <>
    <PageHead title={title} up={up} />
    {error != null && <Problem error={error} onRetry={refetch} />}
  </>
);
