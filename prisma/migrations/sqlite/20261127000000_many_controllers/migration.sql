-- AlterTable
ALTER TABLE "controllers" ADD COLUMN "process" TEXT NOT NULL DEFAULT '';

-- CreateIndex
CREATE INDEX "replicas_node_id_next_verify_at_idx" ON "replicas"("node_id", "next_verify_at");

-- CreateIndex
CREATE INDEX "replicas_node_id_next_check_at_idx" ON "replicas"("node_id", "next_check_at");

-- CreateIndex
CREATE INDEX "replicas_state_verified_at_idx" ON "replicas"("state", "verified_at");

-- CreateIndex
CREATE INDEX "replicas_state_checked_at_idx" ON "replicas"("state", "checked_at");

-- DropIndex
DROP INDEX "replicas_node_id_idx";

-- DropIndex
DROP INDEX "replicas_state_idx";

-- CreateIndex
CREATE INDEX "transactions_outcome_decided_at_idx" ON "transactions"("outcome", "decided_at");

-- DropIndex
DROP INDEX "transactions_decided_at_idx";

-- CreateIndex
CREATE INDEX "findings_open_kind_idx" ON "findings"("open", "kind");
