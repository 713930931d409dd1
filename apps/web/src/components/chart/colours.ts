import { useEffect, useState } from 'preact/hooks';

const scheme = matchMedia('(prefers-color-scheme: dark)');

/** Canvases take colours and no tokens: what these tokens are, of the scheme that the reader has now. */
export function useColours<Name extends string>(names: readonly Name[]): Record<Name, string> {
  const [isDark, setDark] = useState(scheme.matches);
  useEffect(() => {
    const change = () => setDark(scheme.matches);
    scheme.addEventListener('change', change);
    return () => scheme.removeEventListener('change', change);
  }, []);
  const [found, setFound] = useState(() => read(names));
  useEffect(() => setFound(read(names)), [isDark]);
  return found;
}

function read<Name extends string>(names: readonly Name[]): Record<Name, string> {
  const probe = document.createElement('span');
  document.body.append(probe);
  const entries = names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color] as const;
  });
  probe.remove();
  return Object.fromEntries(entries) as Record<Name, string>;
}

export const seriesNames = [
  ...(['series-1', 'series-2', 'series-3', 'series-4'] as const),
  ...(['series-5', 'series-6', 'series-7', 'series-8'] as const),
];
