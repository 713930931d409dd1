export { encodeLine, startReading } from './lines.ts';
export * from './own-certificate.ts';
export * from './protocol.ts';
export * from './request-tokens.ts';
export * from './score-protocol.ts';
export { isLoopback } from './worker-proof.ts';
