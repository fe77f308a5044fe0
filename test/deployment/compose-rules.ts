/** What this project uses of a compose file, after aliases and merges. */
export interface ComposeFile {
  services: Record<string, ComposeService>;
  secrets?: Record<string, { file?: string }>;
  networks?: Record<string, { internal?: boolean } | null>;
  volumes?: Record<string, unknown>;
}

export interface ComposeService {
  image?: string;
  user?: string;
  read_only?: boolean;
  privileged?: boolean;
  restart?: string;
  cap_drop?: string[];
  cap_add?: string[];
  security_opt?: string[];
  environment?: Record<string, string | number | boolean | null>;
  secrets?: string[];
  ports?: string[];
  volumes?: string[];
  network_mode?: string;
  networks?: string[];
  healthcheck?: { test?: unknown; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
  logging?: { options?: Record<string, string> };
  mem_limit?: string;
  cpus?: number;
  pids_limit?: number;
  stop_grace_period?: string;
}

/** The services that the outside may reach, each at one port. */
const PUBLISHED: Readonly<Record<string, string>> = {
  balancer: '${TRIVET_BIND:-127.0.0.1}:${TRIVET_HTTP_PORT:-8080}:8080',
  grafana: '${TRIVET_BIND:-127.0.0.1}:${TRIVET_GRAFANA_PORT:-3000}:3000',
};

/**
 * What in a compose file breaks our rules for production, one line each: no rights, port, disk or bound less or more
 * than needed, no secret but from files that somebody made, and a start that waits for health.
 * @param imageIsHardened whether a service's own image names a user and a health check
 */
export function complaints(file: ComposeFile, imageIsHardened: (service: ComposeService) => boolean): string[] {
  const found: string[] = [];
  for (const [name, service] of Object.entries(file.services)) {
    const rule = (holds: boolean, what: string) => { if (!holds) found.push(`${name}: ${what}`); };
    const hardened = imageIsHardened(service);
    rule(hardened || /^[1-9]\d*:[1-9]\d*$/.test(service.user ?? ''), 'may run as root');
    rule(service.read_only === true, 'can write to its root file system');
    rule(service.cap_drop?.includes('ALL') === true && service.cap_add === undefined, 'has capabilities');
    rule(service.privileged !== true, 'is privileged');
    rule(service.security_opt?.includes('no-new-privileges:true') === true, 'can gain rights');
    rule(service.network_mode === undefined && (service.networks?.length ?? 0) > 0, 'is on no network of its own choice');
    rule(hardened || service.healthcheck?.test !== undefined, 'has no health check');
    rule(service.healthcheck?.disable !== true, 'has its health check switched off');
    rule(service.restart === 'unless-stopped', 'does not come back by itself');
    rule(service.logging?.options?.['max-size'] !== undefined && service.logging.options['max-file'] !== undefined, 'logs without bound');
    rule(service.mem_limit !== undefined && service.cpus !== undefined && service.pids_limit !== undefined, 'has no bound of memory, processors or processes');
    rule(service.stop_grace_period !== undefined, 'is not told how long it may take to stop');
    rule(isPinned(service.image ?? ''), 'runs an image without a version');
    const published = PUBLISHED[name];
    rule(JSON.stringify(service.ports ?? []) === JSON.stringify(published === undefined ? [] : [published]), `publishes ${JSON.stringify(service.ports ?? [])}`);
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      rule(condition === 'service_healthy', `starts before ${other} is healthy`);
    }
    for (const [key, value] of Object.entries(service.environment ?? {})) {
      rule(key === 'TRIVET_REPLACE_TOKEN' || !/PASSWORD|TOKEN|SECRET|STORE|KEY/.test(key) || String(value).startsWith('/run/secrets/'), `has ${key} in its environment`);
    }
    for (const path of Object.values(service.environment ?? {}).map(String).filter((value) => value.startsWith('/run/secrets/'))) {
      rule(service.secrets?.includes(path.slice('/run/secrets/'.length)) === true, `is not given ${path}`);
    }
    for (const mount of service.volumes ?? []) {
      const [source = '', , mode] = mount.split(':');
      rule(source.startsWith('./') ? mode === 'ro' : file.volumes !== undefined && source in file.volumes, `mounts ${mount}`);
    }
  }
  for (const [name, secret] of Object.entries(file.secrets ?? {})) {
    if (!/^\$\{TRIVET_SECRETS:\?[^}]+\}\//.test(secret.file ?? '')) found.push(`secret ${name}: has a default`);
  }
  for (const network of ['store', 'watch']) {
    if (file.networks?.[network]?.internal !== true) found.push(`network ${network}: leads outside`);
  }
  return found;
}

/** Whether the image that is taken when no setting names one has a tag. Trivet's own is built here. */
function isPinned(image: string): boolean {
  const fallback = /^\$\{\w+:-(.*)\}$/.exec(image)?.[1] ?? image;
  return fallback === 'trivet:latest' || /:[^:/]+$/.test(fallback) && !fallback.endsWith(':latest');
}
