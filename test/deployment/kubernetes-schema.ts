import { join, resolve } from 'node:path';
import ts from 'typescript';

const ROOT = resolve(import.meta.dirname, '../..');
/** Never written: the compiler is given its text when it asks for it. */
const SOURCE = join(ROOT, 'test/deployment/manifests-under-test.ts');

/** A manifest as far as every kind has it. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  [field: string]: unknown;
}

/**
 * What Kubernetes' own schemas say against manifests, one line for each fault. Their validator knows types, formats and
 * what is required, but lets unknown fields pass, as the schemas do; so the manifests are also given to the compiler as
 * literals of the schemas' types, which knows no such mercy.
 */
export async function schemaFaults(manifests: readonly Manifest[]): Promise<string[]> {
  const faults = await Promise.all(manifests.map(async (manifest) => {
    const name = `${manifest.kind}/${manifest.metadata.name}`;
    const kinds = await import(`kubernetes-models/${manifest.apiVersion}`).catch(() => ({})) as Record<string, (new (data: object) => { validate(): void }) | undefined>;
    const Kind = kinds[manifest.kind];
    if (Kind === undefined) return [`${name}: there is no ${manifest.kind} in ${manifest.apiVersion}`];
    try {
      new Kind(manifest).validate();
      return [];
    } catch (error) {
      return [`${name}: ${(error as Error).message}`];
    }
  }));
  const valid = manifests.filter((_, i) => faults[i]!.length === 0);
  return [...faults.flat(), ...typeFaults(valid)];
}

function typeFaults(manifests: readonly Manifest[]): string[] {
  const lines = manifests.map((manifest) => (
    `export const _${manifests.indexOf(manifest)}: import('kubernetes-models/${manifest.apiVersion}').I${manifest.kind} = ${JSON.stringify(manifest)};`));
  const text = lines.join('\n');
  const options: ts.CompilerOptions = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, strict: true, noEmit: true, skipLibCheck: true, types: [] };
  const host = ts.createCompilerHost(options);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (path, target) => path === SOURCE ? ts.createSourceFile(path, text, target) : getSourceFile(path, target);
  const program = ts.createProgram([SOURCE], options, host);
  const file = program.getSourceFile(SOURCE)!;
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map((diagnostic) => {
    const manifest = manifests[file.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line]!;
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n').split('\n').at(-1)!.trim();
    return `${manifest.kind}/${manifest.metadata.name}: ${message}`;
  });
}
