export { instruments } from './instruments.ts';
export { canReadMetrics, renderMetrics } from './serve-metrics.ts';
export { contextOf, endSpan, inSpan, type Span, SpanKind, startSpan, under } from './tracing.ts';
