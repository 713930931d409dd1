import type { ComponentChildren } from 'preact';
import { Problem } from './problem.tsx';
import { Waiting } from './waiting.tsx';

export interface Query<Data> {
  data: Data | undefined;
  error: unknown;
  refetch: () => unknown;
}

/** Renders a query's data; before there are data, a placeholder of the given height or the error. */
export function Loaded<Data>({
  query: { data, error, refetch },
  height,
  children,
}: {
  query: Query<Data>;
  height?: string;
  children: (data: Data) => ComponentChildren;
}) {
  if (data !== undefined) return <>{children(data)}</>;
  return error ? <Problem error={error} onRetry={refetch} /> : <Waiting height={height} />;
}
