import { Component, type ComponentChildren } from 'preact';
import { Problem } from './problem.tsx';

/** Shows the error of a page that throws. A new `resetKey` renders the children again. */
export class ErrorBoundary extends Component<
  { resetKey: string; children: ComponentChildren },
  { error: unknown }
> {
  override state = { error: null as unknown };

  static override getDerivedStateFromError = (error: unknown) => ({ error });

  override componentDidUpdate(previous: { resetKey: string }): void {
    if (previous.resetKey !== this.props.resetKey && this.state.error !== null)
      this.setState({ error: null });
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <Problem error={error} onRetry={() => this.setState({ error: null })} />;
  }
}
