/** The end of a command's help: what people type, and what it is for. */
export function examples(...lines: readonly [command: string, purpose: string][]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return ['', 'Examples:', ...lines.map(([command, purpose]) => `  $ ${command.padEnd(width)}  # ${purpose}`)].join('\n');
}
