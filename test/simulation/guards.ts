import { Admission } from '../../controller/repair/admission.ts';
import type { RepairPorts } from '../../controller/repair/repair.ts';
import { Decisions } from '../../controller/store/decisions.ts';
import { Replicas } from '../../controller/store/replicas.ts';
import type { Sql } from '../../controller/store/sql.ts';
import type { BatchPorts } from '../../controller/transaction/batch-run.ts';
import { Journal } from '../../replica/participant/journal.ts';
import { Participant } from '../../replica/participant/participant.ts';

/** The real parts that hold a guard. A control puts one in without it, and some checker must notice. */
export interface Guards {
  Admission: typeof Admission;
  Decisions: typeof Decisions;
  Journal: typeof Journal;
  Participant: typeof Participant;
  Replicas: typeof Replicas;
  ports(ports: BatchPorts): BatchPorts;
  repairPorts(ports: RepairPorts): RepairPorts;
  /** What stands between the store's classes and the database. */
  sql(sql: Sql): Sql;
}

export const REAL: Guards = { Admission, Decisions, Journal, Participant, Replicas, ports: (ports) => ports, repairPorts: (ports) => ports, sql: (sql) => sql };
