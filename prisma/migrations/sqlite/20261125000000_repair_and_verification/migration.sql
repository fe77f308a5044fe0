-- AlterTable
ALTER TABLE "replicas" ADD COLUMN "verified_at" DATETIME;

-- AlterTable
ALTER TABLE "replicas" ADD COLUMN "checked_at" DATETIME;

-- AlterTable
ALTER TABLE "replicas" ADD COLUMN "next_verify_at" DATETIME;

-- AlterTable
ALTER TABLE "replicas" ADD COLUMN "next_check_at" DATETIME;

-- CreateIndex
CREATE INDEX "replicas_state_idx" ON "replicas"("state");

-- CreateIndex
CREATE INDEX "replicas_next_verify_at_idx" ON "replicas"("next_verify_at");

-- CreateIndex
CREATE INDEX "replicas_next_check_at_idx" ON "replicas"("next_check_at");

-- CreateIndex
CREATE INDEX "transactions_decided_at_idx" ON "transactions"("decided_at");

-- AlterTable
ALTER TABLE "transactions" ADD COLUMN "digest" TEXT;

-- AlterTable
ALTER TABLE "nodes" ADD COLUMN "heard_at" DATETIME;

-- Open jobs are opened again by reconcile, which finds the replicas they were for.
-- DropTable
DROP TABLE "repair_jobs";

-- CreateTable
CREATE TABLE "repair_jobs" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "repository_id" TEXT NOT NULL,
    "node_id" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "detail" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "open" INTEGER,
    "attempt" INTEGER NOT NULL,
    "fence" BIGINT NOT NULL,
    "holder" TEXT,
    "lease_until" DATETIME,
    "next_attempt_at" DATETIME NOT NULL,
    "source" TEXT,
    "way" TEXT,
    "round" INTEGER NOT NULL,
    "objects" BIGINT NOT NULL,
    "total_objects" BIGINT,
    "bytes" BIGINT NOT NULL,
    "total_bytes" BIGINT,
    "last_error" TEXT,
    "created_at" DATETIME NOT NULL,
    "started_at" DATETIME,
    "finished_at" DATETIME,
    CONSTRAINT "repair_jobs_repository_id_node_id_fkey" FOREIGN KEY ("repository_id", "node_id") REFERENCES "replicas" ("repository_id", "node_id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "findings" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "node_id" TEXT NOT NULL,
    "repository_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "detail" TEXT NOT NULL,
    "found_at" DATETIME NOT NULL,
    "resolved_at" DATETIME,
    "open" INTEGER
);

-- CreateTable
CREATE TABLE "data_losses" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "repository_id" TEXT NOT NULL,
    "repository" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "accepted_by" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "before_generation" BIGINT NOT NULL,
    "before_digest" TEXT NOT NULL,
    "source_generation" BIGINT NOT NULL,
    "after_generation" BIGINT NOT NULL,
    "after_digest" TEXT NOT NULL,
    "accepted_at" DATETIME NOT NULL
);

-- CreateIndex
CREATE INDEX "repair_jobs_open_next_attempt_at_idx" ON "repair_jobs"("open", "next_attempt_at");

-- CreateIndex
CREATE INDEX "repair_jobs_finished_at_idx" ON "repair_jobs"("finished_at");

-- CreateIndex
CREATE UNIQUE INDEX "repair_jobs_repository_id_node_id_open_key" ON "repair_jobs"("repository_id", "node_id", "open");

-- CreateIndex
CREATE INDEX "findings_repository_id_idx" ON "findings"("repository_id");

-- CreateIndex
CREATE INDEX "findings_resolved_at_idx" ON "findings"("resolved_at");

-- CreateIndex
CREATE UNIQUE INDEX "findings_node_id_repository_id_kind_open_key" ON "findings"("node_id", "repository_id", "kind", "open");

-- CreateIndex
CREATE INDEX "data_losses_repository_id_idx" ON "data_losses"("repository_id");
