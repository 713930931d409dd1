import { useEffect, useRef } from 'preact/hooks';
import { Button } from '../forms/button.tsx';

export interface Pages {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

export const ShowMore = ({
  query: { isFetchingNextPage, fetchNextPage },
  kind = 'plain',
}: {
  query: Pages;
  kind?: 'plain' | 'quiet';
}) => (
  <Button kind={kind} busy={isFetchingNextPage} onClick={() => fetchNextPage()}>
    Show more
  </Button>
);

/** Below a long list: loads the next page when it is scrolled near, or on click. Renders nothing on the last page. */
export function More({ query }: { query: Pages }) {
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!place.current || !hasNextPage || isFetchingNextPage) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && fetchNextPage(), {
      rootMargin: '600px',
    });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [hasNextPage, isFetchingNextPage]);
  return hasNextPage ? (
    <div ref={place} class="row">
      <ShowMore query={query} kind="quiet" />
    </div>
  ) : null;
}
