// Compiles each dashboard as a literal of the type in shape.ts; prints what does not fit, exits 1 if anything.
//
//   node check.mjs FILE.json …        in a folder that has node_modules of package.json
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';

const folder = mkdtempSync(join(process.cwd(), '.check-'));
try {
  const sources = process.argv.slice(2).map((file) => {
    const source = join(folder, `${basename(file, '.json')}.ts`);
    const json = readFileSync(file, 'utf8');
    writeFileSync(source, `import type { Dashboard } from '../shape';\nexport const dashboard: Dashboard = ${json};\n`);
    return source;
  });
  const options = { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ESNext, types: [],
    paths: { 'grafana/*': [join(process.cwd(), 'node_modules/@grafana/schema/dist/types/raw/*/x/types.gen.d.ts')] } };
  const problems = ts.getPreEmitDiagnostics(ts.createProgram(sources, options));
  for (const { file, start, messageText } of problems) {
    const where = file ? `${basename(file.fileName, '.ts')}.json:${file.getLineAndCharacterOfPosition(start).line}` : 'compiler';
    console.log(`${where}: ${ts.flattenDiagnosticMessageText(messageText, '\n  ')}`);
  }
  process.exitCode = problems.length ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true });
}
