import { type MutableRef, useEffect, useRef } from 'preact/hooks';

/** Keeps the `aria-current` element of a horizontally scrolling row centred. */
export function useScrollIntoView(current: string | undefined): MutableRef<HTMLElement | null> {
  const row = useRef<HTMLElement>(null);
  useEffect(() => {
    const selected = row.current?.querySelector('[aria-current]');
    if (!row.current || !selected) return;
    const [outer, inner] = [row.current.getBoundingClientRect(), selected.getBoundingClientRect()];
    row.current.scrollLeft += inner.left + inner.width / 2 - (outer.left + outer.width / 2);
  }, [current]);
  return row;
}
