import { useEffect, useRef } from 'preact/hooks';
import { Button } from '../forms/button.tsx';

/** The part of an endless query that this needs. */
interface Pages {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

/** Below a long list: fetches its next page when it comes near the window, or by hand. Without one it is nothing. */
export function More({ of: { hasNextPage, isFetchingNextPage, fetchNextPage } }: { of: Pages }) {
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
