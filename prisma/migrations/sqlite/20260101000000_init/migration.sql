-- CreateTable
CREATE TABLE "repositories" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "object_format" TEXT NOT NULL,
    "default_branch" TEXT NOT NULL,
    "replication_factor" INTEGER NOT NULL,
    "generation" BIGINT NOT NULL,
    "refs_digest" TEXT NOT NULL,
    "deny_non_fast_forwards" BOOLEAN NOT NULL,
    "deny_deletes" BOOLEAN NOT NULL,
    "created_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "nodes" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "url" TEXT NOT NULL,
    "boot" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "seen_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "replicas" (
    "repository_id" TEXT NOT NULL,
    "node_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "generation" BIGINT NOT NULL,
    "digest" TEXT NOT NULL,
    "reason" TEXT,
    "changed_at" DATETIME NOT NULL,

    PRIMARY KEY ("repository_id", "node_id"),
    CONSTRAINT "replicas_repository_id_fkey" FOREIGN KEY ("repository_id") REFERENCES "repositories" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "replicas_node_id_fkey" FOREIGN KEY ("node_id") REFERENCES "nodes" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "transactions" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "batch" TEXT NOT NULL,
    "repository_id" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "generation" BIGINT,
    "decided_by" TEXT NOT NULL,
    "decided_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "repair_jobs" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "repository_id" TEXT NOT NULL,
    "node_id" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "fence" BIGINT NOT NULL,
    "holder" TEXT,
    "lease_until" DATETIME,
    "next_attempt_at" DATETIME NOT NULL,
    "last_error" TEXT,
    "created_at" DATETIME NOT NULL,
    CONSTRAINT "repair_jobs_repository_id_node_id_fkey" FOREIGN KEY ("repository_id", "node_id") REFERENCES "replicas" ("repository_id", "node_id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "events" (
    "sequence" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "repository_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "payload" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL
);

-- CreateIndex
CREATE UNIQUE INDEX "repositories_name_key" ON "repositories"("name");

-- CreateIndex
CREATE INDEX "replicas_node_id_idx" ON "replicas"("node_id");

-- CreateIndex
CREATE INDEX "transactions_batch_idx" ON "transactions"("batch");

-- CreateIndex
CREATE INDEX "transactions_repository_id_idx" ON "transactions"("repository_id");

-- CreateIndex
CREATE INDEX "repair_jobs_next_attempt_at_idx" ON "repair_jobs"("next_attempt_at");

-- CreateIndex
CREATE UNIQUE INDEX "repair_jobs_repository_id_node_id_key" ON "repair_jobs"("repository_id", "node_id");
