/**
 * OpenTelemetry traces from a request to the steps of the job that it creates. Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set: then the SDK
 * is not loaded and every function here does nothing. The SDK reads the other OTEL_ variables.
 */
import {
  type Attributes,
  type Context,
  context,
  propagation,
  type Span,
  type SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

export { type Attributes, type Context, type Span, SpanKind } from '@opentelemetry/api';

const tracer = () => trace.getTracer('graft');

/**
 * Starts exporting this process's spans by OTLP over HTTP, as `graft-<role>`. Returns a function that flushes and stops the export; null if
 * tracing is off. If the collector is unavailable, only spans are lost.
 */
export async function startTracing(role: string): Promise<(() => Promise<void>) | null> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_SDK_DISABLED } = process.env;
  if (!(OTEL_EXPORTER_OTLP_ENDPOINT || OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) || OTEL_SDK_DISABLED === 'true')
    return null;
  const [
    { BatchSpanProcessor, NodeTracerProvider },
    { defaultResource, detectResources, envDetector, resourceFromAttributes },
    { OTLPTraceExporter },
  ] = await Promise.all([
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  const own = resourceFromAttributes({ 'service.name': `graft-${role}`, 'process.pid': process.pid });
  const provider = new NodeTracerProvider({
    resource: defaultResource()
      .merge(own)
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  // Registers the propagator of W3C traceparent headers, and a context that follows promises.
  provider.register();
  return async () => {
    // An unavailable collector must not delay the end of the process.
    await Promise.race([provider.shutdown().catch(() => {}), deadline(5_000)]);
    trace.disable();
    context.disable();
    propagation.disable();
  };
}

const deadline = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms).unref());

/** Returns the W3C `traceparent` of the active span, or null. Stored with a job, so that its spans join the request's trace. */
export function currentTraceparent(): string | null {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent ?? null;
}

/** Returns the context of a `traceparent`; the active context without one. */
export function contextOf(traceparent: string | null | undefined): Context {
  const root = context.active();
  return traceparent ? propagation.extract(root, { traceparent }) : root;
}

/** Starts a span below `parent`; the caller ends it. */
export function startSpan(
  name: string,
  options: {
    parent?: Context | undefined;
    kind?: SpanKind;
    attributes?: Attributes;
    startTime?: Date | undefined;
  } = {},
): Span {
  const { parent = context.active(), startTime, ...rest } = options;
  return tracer().startSpan(name, startTime ? { ...rest, startTime } : rest, parent);
}

/** Runs `work` with the span as the active one. */
export function inSpan<T>(span: Span, work: () => T): T {
  return context.with(trace.setSpan(context.active(), span), work);
}

/** Returns a context with the span as the active one, the parent of further spans. */
export function under(span: Span): Context {
  return trace.setSpan(context.active(), span);
}

/** Ends a span; a `fault` marks it as failed. */
export function endSpan(span: Span, fault?: string | undefined): void {
  if (fault !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: fault });
  span.end();
}
