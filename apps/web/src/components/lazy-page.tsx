import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Problem } from './problem.tsx';

type Loaded = { page: FunctionComponent } | { error: unknown };

/** A page, the export `name` of a module that is loaded when the page is first shown. */
export function lazyPage<Name extends string>(
  load: () => Promise<Record<Name, FunctionComponent>>,
  name: Name,
): FunctionComponent {
  let cached: Loaded | null = null;
  return function LazyPage() {
    const [loaded, setLoaded] = useState(cached);
    useEffect(() => {
      if (cached) return;
      load().then(
        (module) => {
          cached = { page: module[name] };
          setLoaded(cached);
        },
        (error: unknown) => setLoaded({ error }),
      );
    }, []);
    if (!loaded) return null;
    if ('error' in loaded) return <Problem error={loaded.error} onRetry={() => location.reload()} />;
    return <loaded.page />;
  };
}
