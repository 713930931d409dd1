import { type MutableRef, useEffect, useRef } from 'preact/hooks';

/** For a row of links or buttons that scrolls sideways: brings the one that is `aria-current` into the middle when another one is. */
export function useCurrentInSight(current: string | undefined): MutableRef<HTMLElement | null> {
  const row = useRef<HTMLElement>(null);
  useEffect(() => {
    const here = row.current?.querySelector('[aria-current]');
    if (!row.current || !here) return;
    const [all, one] = [row.current.getBoundingClientRect(), here.getBoundingClientRect()];
    row.current.scrollLeft += one.left + one.width / 2 - (all.left + all.width / 2);
  }, [current]);
  return row;
}
