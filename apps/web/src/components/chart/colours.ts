import { useEffect, useState } from 'preact/hooks';

const scheme = matchMedia('(prefers-color-scheme: dark)');

/** The current values of CSS colour variables, for canvases. They follow the light or dark scheme. */
export function useColours<Name extends string>(names: readonly Name[]): Record<Name, string> {
  const [isDark, setDark] = useState(scheme.matches);
  useEffect(() => {
    const change = () => setDark(scheme.matches);
    scheme.addEventListener('change', change);
    return () => scheme.removeEventListener('change', change);
  }, []);
  const [colours, setColours] = useState(() => readColours(names));
  useEffect(() => setColours(readColours(names)), [isDark]);
  return colours;
}

function readColours<Name extends string>(names: readonly Name[]): Record<Name, string> {
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
