import { readFileSync } from 'node:fs';
import { UsageError } from './usage-error.ts';

/** An option's JSON: inline, or `@path` for a file that holds it. */
export function jsonArgument(option: string, text: string): unknown {
  let json = text;
  if (text.startsWith('@')) {
    try {
      json = readFileSync(text.slice(1), 'utf8');
    } catch (error) {
      throw new UsageError(`${option}: cannot read ${text.slice(1)}: ${(error as Error).message}`);
    }
  }
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new UsageError(
      `${option} is not valid JSON: ${(error as Error).message}. Quote it for your shell, or use @file.`,
    );
  }
}

export function jsonObjectArgument(option: string, text: string): Record<string, unknown> {
  const value = jsonArgument(option, text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`${option} must be a JSON object.`);
  }
  return value as Record<string, unknown>;
}
