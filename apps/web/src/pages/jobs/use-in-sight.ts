import { useEffect, useRef } from 'preact/hooks';

/** Calls when the element comes near the window's end, and again while it stays there. */
export function useInSight(call: () => unknown) {
  const place = useRef<HTMLDivElement>(null);
  const latest = useRef(call);
  latest.current = call;
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting) latest.current();
      },
      { rootMargin: '600px' },
    );
    observer.observe(element);
    return () => observer.disconnect();
  });
  return place;
}
