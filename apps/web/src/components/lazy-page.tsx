import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Problem } from './problem.tsx';

type Loaded = { page: FunctionComponent } | { error: unknown };

/** A page whose code is loaded when it is first shown. */
export function lazyPage(load: () => Promise<FunctionComponent>): FunctionComponent {
  let cached: Loaded | null = null;
  return function LazyPage() {
    const [loaded, setLoaded] = useState(cached);
    useEffect(() => {
      if (cached) return;
      load().then(
        (page) => {
          cached = { page };
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
