import pino from 'pino';

/**
 * Fields that may be logged: never bodies, keys, prompts, completions or file contents. Other fields are dropped, so that a careless
 * `log.info(object)` leaks nothing.
 */
const allowedFields = new Set([
  'name',
  'hostname',
  'pid',
  'component',
  'reqId',
  'req',
  'res',
  'err',
  'error',
  'responseTime',
  'method',
  'url',
  'statusCode',
  'route',
  'remoteAddress',
  'teamId',
  'keyId',
  'personId',
  'issuer',
  'subject',
  'jobId',
  'jobIds',
  'leaseEpoch',
  'attempt',
  'state',
  'workerId',
  'workerProtocol',
  'apiProtocol',
  'adapterId',
  'versionId',
  'fileId',
  'uploadId',
  'model',
  'digest',
  'step',
  'totalSteps',
  'tokens',
  'tokensPerSecond',
  'loss',
  'bytes',
  'count',
  'ms',
  'seconds',
  'port',
  'address',
  'backend',
  'signal',
  'code',
  'reason',
  'path',
  'version',
  'childPid',
  'slots',
  'concurrency',
  'event',
  'kind',
  'id',
  'baseModel',
  'missing',
  'layers',
  'users',
  'output',
]);

/** Keeps only the path: query strings may contain cursors and metadata. */
const pathOf = (url: unknown) => (typeof url === 'string' ? url.split('?', 1)[0] : undefined);

function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code } = error as NodeJS.ErrnoException;
  const cause = error.cause === undefined ? undefined : describeError(error.cause);
  return { type: error.name, code, message: error.message, stack: error.stack, cause };
}

const serializers = {
  req: (req: { id?: string; method?: string; url?: string }) => ({
    id: req.id,
    method: req.method,
    url: pathOf(req.url),
  }),
  res: (res: { statusCode?: number }) => ({ statusCode: res.statusCode }),
  url: pathOf,
  err: describeError,
  error: describeError,
};

function keepAllowed(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => allowedFields.has(name)));
}

/**
 * Writes to stdout and drops lines once writing fails: a closed terminal returns EIO. pino would throw the error in the code that logs, and
 * retry forever when the process ends.
 */
function standardOutput(): pino.DestinationStream {
  const stream = pino.destination({ fd: 1, sync: true });
  stream.on('error', () => {
    stream.write = () => true;
    stream.flushSync = () => {};
    stream.flush = () => {};
    stream.end = () => {};
    stream.destroy = () => {};
  });
  return stream;
}

/** Creates a logger that writes JSON lines to stdout or `destination`, with allowed fields only; child loggers follow the same rule. */
export function createLogger(
  options: { level: string; name: string },
  destination?: pino.DestinationStream,
): pino.Logger {
  const settings: pino.LoggerOptions = {
    name: options.name,
    level: options.level,
    serializers,
    formatters: { log: keepAllowed },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  const logger = pino(settings, destination ?? standardOutput());
  // pino does not apply the parent's formatters to a child's bindings. Children inherit this method.
  const { child } = logger;
  logger.child = function (this: pino.Logger, bindings, options) {
    return child.call(this, keepAllowed(bindings), options);
  } as typeof child;
  return logger;
}
