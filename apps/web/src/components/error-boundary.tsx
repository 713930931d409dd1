import { Component, type ComponentChildren } from 'preact';
import { Problem } from './problem.tsx';

/** Keeps a fault of one page from taking the others with it; `of` another page begins anew. */
export class ErrorBoundary extends Component<
  { of: string; children: ComponentChildren },
  { error: unknown }
> {
  override state = { error: null as unknown };

  static override getDerivedStateFromError = (error: unknown) => ({ error });

  override componentDidUpdate(before: { of: string }): void {
    if (before.of !== this.props.of && this.state.error !== null) this.setState({ error: null });
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <Problem error={error} onRetry={() => this.setState({ error: null })} />;
  }
}
