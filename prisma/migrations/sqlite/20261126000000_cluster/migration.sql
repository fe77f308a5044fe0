-- AlterTable
ALTER TABLE "repositories" ADD COLUMN "name_key" TEXT;

-- AlterTable
ALTER TABLE "repositories" ADD COLUMN "state" TEXT NOT NULL DEFAULT 'ready';

-- AlterTable
ALTER TABLE "repositories" ADD COLUMN "intended_factor" INTEGER;

-- AlterTable
ALTER TABLE "repositories" ADD COLUMN "trashed_name" TEXT;

-- AlterTable
ALTER TABLE "repositories" ADD COLUMN "trashed_at" DATETIME;

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "zone" TEXT NOT NULL DEFAULT '';

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "version" TEXT NOT NULL DEFAULT '';

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "git_version" TEXT NOT NULL DEFAULT '';

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "disk_total_bytes" BIGINT;

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "disk_free_bytes" BIGINT;

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "load_average" DOUBLE;

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "clock_skew_ms" INTEGER;

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "joined_at" DATETIME;

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "state_changed_at" DATETIME;

-- Of names that differ in case only, the oldest has the key; ids begin with the time of their making.
UPDATE repositories SET name_key = LOWER(name) WHERE id IN (SELECT id FROM (SELECT MIN(id) AS id FROM repositories GROUP BY LOWER(name)) AS oldest);

-- CreateIndex
CREATE UNIQUE INDEX "repositories_name_key_key" ON "repositories"("name_key");

-- CreateIndex
CREATE INDEX "repositories_trashed_at_idx" ON "repositories"("trashed_at");

-- A node that was cordoned by hand is one that shall not be read from.
UPDATE nodes SET state = 'quiesced' WHERE state = 'cordoned';

-- CreateTable
CREATE TABLE "removals" (
    "repository_id" TEXT NOT NULL,
    "node_id" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL,

    PRIMARY KEY ("repository_id", "node_id")
);

-- CreateIndex
CREATE INDEX "removals_node_id_idx" ON "removals"("node_id");

-- CreateTable
CREATE TABLE "imports" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "repository_id" TEXT NOT NULL,
    "repository" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "open" INTEGER,
    "phase" TEXT,
    "node_id" TEXT,
    "objects" BIGINT NOT NULL,
    "total_objects" BIGINT,
    "bytes" BIGINT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "fence" BIGINT NOT NULL,
    "holder" TEXT,
    "lease_until" DATETIME,
    "next_attempt_at" DATETIME NOT NULL,
    "last_error" TEXT,
    "created_at" DATETIME NOT NULL,
    "finished_at" DATETIME
);

-- CreateIndex
CREATE UNIQUE INDEX "imports_repository_id_open_key" ON "imports"("repository_id", "open");

-- CreateIndex
CREATE INDEX "imports_open_next_attempt_at_idx" ON "imports"("open", "next_attempt_at");

-- CreateIndex
CREATE INDEX "imports_finished_at_idx" ON "imports"("finished_at");

-- CreateTable
CREATE TABLE "maintenance_leases" (
    "repository_id" TEXT NOT NULL PRIMARY KEY,
    "node_id" TEXT NOT NULL,
    "lease_until" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "clusters" (
    "singleton" INTEGER NOT NULL PRIMARY KEY,
    "id" TEXT NOT NULL,
    "token_check" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "controllers" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "boot" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "settings" TEXT NOT NULL,
    "started_at" DATETIME NOT NULL,
    "seen_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "duties" (
    "name" TEXT NOT NULL PRIMARY KEY,
    "holder" TEXT NOT NULL,
    "fence" BIGINT NOT NULL,
    "lease_until" DATETIME NOT NULL
);
