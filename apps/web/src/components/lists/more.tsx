import { useEffect, useRef } from 'preact/hooks';
import { Button } from '../forms/button.tsx';

/** The part of an infinite query used here. */
interface Pages {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

/** Below a long list: loads the next page when it is scrolled near, or on click. Renders nothing on the last page. */
export function More({ query: { hasNextPage, isFetchingNextPage, fetchNextPage } }: { query: Pages }) {
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
      <Button kind="quiet" busy={isFetchingNextPage} onClick={fetchNextPage}>
        Show more
      </Button>
    </div>
  ) : null;
}
