import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';
import { parse, parseAllDocuments } from 'yaml';
import { documentedSettings } from '@trivet/proto/documented-settings.ts';
import { schemaFaults, type Manifest } from './kubernetes-schema.ts';

const DIRECTORY = resolve(import.meta.dirname, '../../deploy/kubernetes');

interface Container {
  name: string;
  image: string;
  args: string[];
  env: { name: string; value?: string; valueFrom?: object }[];
  ports: { name: string; containerPort: number }[];
  securityContext: object;
  startupProbe: Probe;
  readinessProbe: Probe;
  livenessProbe: Probe;
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
  resources: { requests: object; limits: { memory?: string } };
}
interface Probe { httpGet: { path: string; port: string } }
interface PodSpec {
  automountServiceAccountToken: boolean;
  terminationGracePeriodSeconds: number;
  securityContext: object;
  containers: Container[];
  volumes: { name: string; secret?: { secretName: string; items: { key: string }[] } }[];
}
interface Workload extends Manifest {
  spec: { replicas: number; serviceName?: string; selector: { matchLabels: Record<string, string> }; template: { metadata: { labels: Record<string, string> }; spec: PodSpec }; volumeClaimTemplates?: { metadata: { name: string } }[] };
}
interface Selecting extends Manifest { spec: { selector: Record<string, string>; ports: { port: number; targetPort: string }[]; publishNotReadyAddresses?: boolean; clusterIP?: string } }

const kustomization = parse(readFileSync(join(DIRECTORY, 'kustomization.yaml'), 'utf8')) as { resources: string[]; namespace: string; images: { name: string }[] };

function read(): Manifest[] {
  return kustomization.resources.flatMap((file) => parseAllDocuments(readFileSync(join(DIRECTORY, file), 'utf8')).map((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    return document.toJS() as Manifest;
  }));
}

function find<T extends Manifest>(kind: string, name: string, manifests = read()): T {
  return manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name) as T;
}

const workloads = () => [find<Workload>('Deployment', 'controller'), find<Workload>('StatefulSet', 'node')];
const podOf = (workload: Workload) => workload.spec.template.spec;

test('every manifest is what Kubernetes\' schemas ask for', async (t) => {
  t.deepEqual(await schemaFaults(read()), []);
});

const BROKEN: readonly [what: string, fault: RegExp, breakIt: (manifests: Manifest[]) => void][] = [
  ['a port that is a word', /containerPort must be integer/, (manifests) => { podOf(find('StatefulSet', 'node', manifests)).containers[0]!.ports[0]!.containerPort = 'http' as never; }],
  ['no selector', /Deployment\/controller: .*must have required property selector/, (manifests) => { delete (find<Workload>('Deployment', 'controller', manifests).spec as Partial<Workload['spec']>).selector; }],
  ['a field with a slip of the pen', /StatefulSet\/node: .*"readOnlyRootFileSystem"' does not exist/, (manifests) => { podOf(find('StatefulSet', 'node', manifests)).containers[0]!.securityContext = { readOnlyRootFileSystem: true }; }],
  ['a field at the wrong level', /PodDisruptionBudget\/node: .*"maxUnavailable"' does not exist/, (manifests) => { find('PodDisruptionBudget', 'node', manifests)['maxUnavailable'] = 1; }],
  ['a number where a word belongs', /whenUnsatisfiable must be string/, (manifests) => { Object.assign(podOf(find('StatefulSet', 'node', manifests)), { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'x', whenUnsatisfiable: 7 }] }); }],
  ['a kind of another version', /there is no PodDisruptionBudget in policy\/v2/, (manifests) => { find('PodDisruptionBudget', 'node', manifests).apiVersion = 'policy/v2'; }],
];

for (const [what, fault, breakIt] of BROKEN) {
  test(`control: ${what} is refused`, async (t) => {
    const manifests = read();
    breakIt(manifests);
    const faults = await schemaFaults(manifests);
    t.is(faults.length, 1);
    t.regex(faults[0]!, fault);
  });
}

test('kustomize is told of every file, and each thing is named once', (t) => {
  const files = readdirSync(DIRECTORY).filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml');
  t.deepEqual([...kustomization.resources].sort(), files.sort());
  const names = read().map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  t.is(new Set(names).size, names.length);
  t.deepEqual([...new Set(workloads().flatMap((workload) => podOf(workload).containers.map(({ image }) => image)))], kustomization.images.map(({ name }) => name));
  t.is(find('Namespace', kustomization.namespace).kind, 'Namespace');
});

test('pods run without root, rights, a disk to write to or a token of Kubernetes', (t) => {
  for (const pod of workloads().map(podOf)) {
    t.like(pod.securityContext, { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } });
    t.false(pod.automountServiceAccountToken);
    for (const container of pod.containers) {
      t.deepEqual(container.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
      t.truthy(container.resources.limits.memory);
    }
  }
});

test('no manifest has a secret in it: they are named, and mounted as files', (t) => {
  t.deepEqual(read().filter(({ kind }) => kind === 'Secret'), []);
  for (const pod of workloads().map(podOf)) {
    const secret = pod.volumes.find((volume) => volume.secret !== undefined)!.secret!;
    t.is(secret.secretName, 'trivet');
    for (const { name, value } of pod.containers.flatMap(({ env }) => env)) {
      if (/TOKEN|STORE|PASSWORD/.test(name)) t.true(value?.startsWith('/run/secrets/trivet/') === true && secret.items.some(({ key }) => value.endsWith(`/${key}`)), name);
    }
  }
});

test('every setting of Trivet in them is one that is documented for its role', (t) => {
  for (const [workload, program] of [[workloads()[0]!, 'Controller'], [workloads()[1]!, 'Node']] as const) {
    const known = documentedSettings(program);
    const asked = podOf(workload).containers.flatMap(({ env }) => env.map(({ name }) => name)).filter((name) => name.startsWith('TRIVET_'));
    t.deepEqual(asked.filter((name) => !known.has(name)), []);
  }
});

test('labels find what they are to find', (t) => {
  for (const workload of workloads()) {
    const { labels } = workload.spec.template.metadata;
    t.deepEqual(workload.spec.selector.matchLabels, labels);
    const component = labels['app.kubernetes.io/component']!;
    t.deepEqual(find<Workload>('PodDisruptionBudget', component).spec.selector.matchLabels, labels);
    const services = read().filter(({ kind }) => kind === 'Service').map((service) => service as Selecting).filter(({ spec }) => spec.selector['app.kubernetes.io/component'] === component);
    t.true(services.length > 0);
    for (const { spec } of services) {
      t.deepEqual(spec.selector, labels);
      t.deepEqual(spec.ports.map(({ targetPort }) => targetPort), podOf(workload).containers[0]!.ports.map(({ name }) => name));
    }
  }
});

test('nodes reach controllers that are not ready, without which none would ever be', (t) => {
  const node = podOf(find('StatefulSet', 'node')).containers[0]!;
  const url = new URL(node.env.find(({ name }) => name === 'TRIVET_CONTROLLERS')!.value!);
  const service = find<Selecting>('Service', url.hostname);
  t.true(service.spec.publishNotReadyAddresses);
  t.is(service.spec.ports[0]!.port, Number(url.port));
});

test('a node has a name and a disk of its own', (t) => {
  const nodes = find<Workload>('StatefulSet', 'node');
  const { clusterIP, publishNotReadyAddresses } = find<Selecting>('Service', nodes.spec.serviceName!).spec;
  t.deepEqual({ clusterIP, publishNotReadyAddresses }, { clusterIP: 'None', publishNotReadyAddresses: true });
  const container = podOf(nodes).containers[0]!;
  const mount = container.volumeMounts.find(({ name }) => name === nodes.spec.volumeClaimTemplates![0]!.metadata.name)!;
  t.true(container.env.find(({ name }) => name === 'TRIVET_DIRECTORY')!.value!.startsWith(`${mount.mountPath}/`));
});

test('probes ask what their answers are for', (t) => {
  for (const { startupProbe, readinessProbe, livenessProbe, ports } of workloads().flatMap((workload) => podOf(workload).containers)) {
    t.deepEqual([startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet.path), ['/healthz', '/readyz', '/healthz']);
    for (const { httpGet } of [startupProbe, readinessProbe, livenessProbe]) t.is(httpGet.port, ports[0]!.name);
  }
});

test('a pod is left more time to stop than its process takes', (t) => {
  for (const [workload, program] of [[workloads()[0]!, 'Controller'], [workloads()[1]!, 'Node']] as const) {
    const settings = documentedSettings(program);
    const takesMs = Number(settings.get('TRIVET_STOP_MS')) + Number(settings.get('TRIVET_STOP_DELAY_MS'));
    t.true(podOf(workload).terminationGracePeriodSeconds * 1_000 > takesMs);
  }
});
