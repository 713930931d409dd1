import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Problem } from './problem.tsx';

type Loaded = { page: FunctionComponent } | { error: unknown };

/** A page whose code is fetched when it is first shown. */
export function lazyPage(load: () => Promise<FunctionComponent>): FunctionComponent {
  let kept: Loaded | null = null;
  return function LazyPage() {
    const [loaded, setLoaded] = useState(kept);
    useEffect(() => {
      if (kept) return;
      load().then(
        (page) => {
          kept = { page };
          setLoaded(kept);
        },
        (error: unknown) => setLoaded({ error }),
      );
    }, []);
    if (!loaded) return null;
    if ('error' in loaded) return <Problem error={loaded.error} onRetry={() => location.reload()} />;
    return <loaded.page />;
  };
}
