import type { TrivetError } from '@trivet/proto/errors.ts';

/** A fault as text for the person at a git client: what went wrong, then the particulars, one to a line. */
export function explain(fault: TrivetError): string {
  const details = Object.entries(fault.fields).map(([key, value]) => `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [`trivet: ${fault.message}`, ...details.map((detail) => `  ${detail}`)].join('\n').replace(/[^\x20-\x7e\n]/g, '?');
}
