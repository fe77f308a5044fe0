# One image for both roles: `controller` or `replica` is its argument.

# The official image, or one of your own with Node 24 or newer, npm and apt.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS modules
WORKDIR /trivet
# A registry of your own instead of npm's.
ARG NPM_CONFIG_REGISTRY
COPY package.json package-lock.json ./
COPY proto/package.json proto/
COPY controller/package.json controller/
COPY replica/package.json replica/
COPY prisma prisma
# Prisma's command line is needed for writing the clients only, and with its own packages it is more than half of all. Of
# its runtime, the compilers for other databases are never loaded.
RUN npm ci --omit=dev --no-audit --no-fund --no-update-notifier \
 && npm uninstall --workspace @trivet/controller --no-save --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier prisma \
 && rm -rf node_modules/typescript node_modules/.bin/tsc node_modules/.bin/tsserver \
 && find node_modules/@prisma/client/runtime -name 'query_compiler_*' ! -name 'query_compiler_fast_bg.mysql.*mjs' ! -name 'query_compiler_fast_bg.sqlite.*mjs' -delete

FROM ${BASE}
# tini passes signals on and reaps what killed gits leave behind.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git tini util-linux coreutils \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 trivet \
 && useradd --uid 10001 --gid trivet --home-dir /data --no-create-home --shell /usr/sbin/nologin trivet \
 && install -d -o trivet -g trivet -m 0750 /data \
 && ln -s /trivet/controller/cli/trivet.ts /usr/local/bin/trivet
WORKDIR /trivet
COPY --from=modules /trivet ./
COPY proto proto
COPY controller controller
COPY replica replica
COPY deploy/container deploy/container
# The first two keep glibc from holding on to freed memory; see the README for what that is worth.
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 NODE_ENV=production \
    TRIVET_HOST=0.0.0.0 TRIVET_DIRECTORY=/data
USER 10001:10001
# 8081 is a controller's port, 8082 a node's.
EXPOSE 8081 8082
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=5 CMD ["/trivet/deploy/container/entrypoint.sh", "healthcheck"]
ENTRYPOINT ["tini", "--", "/trivet/deploy/container/entrypoint.sh"]
