/**
 * Every fault that Trivet expects, with the HTTP status it becomes, its fixed text, and whether trying again can help.
 * `docs/errors.md` lists the same table; a test keeps the two equal.
 */
export const ERRORS = {
  // what the client sent
  bad_pkt_line: { status: 400, retry: false, message: 'malformed pkt-line' },
  body_truncated: { status: 400, retry: false, message: 'the request body ended too early' },
  body_too_large: { status: 413, retry: false, message: 'the request body is larger than this server accepts' },
  body_too_slow: { status: 408, retry: true, message: 'the request body came too slowly' },
  trailing_bytes: { status: 400, retry: false, message: 'the request body goes on after its end' },
  bad_encoding: { status: 400, retry: false, message: 'the request body is not valid gzip' },
  unsupported_encoding: { status: 415, retry: false, message: 'only gzip and identity content encodings are supported' },
  wrong_content_type: { status: 415, retry: false, message: 'wrong content type for this git service' },
  unknown_service: { status: 403, retry: false, message: 'unknown git service' },
  dumb_protocol: { status: 403, retry: false, message: 'the dumb HTTP protocol is not supported; use git 1.6.6 or newer' },
  bad_command: { status: 400, retry: false, message: 'malformed ref update command' },
  too_many_commands: { status: 413, retry: false, message: 'too many ref updates in one push' },
  duplicate_ref: { status: 400, retry: false, message: 'a ref is named twice in one push' },
  object_format_mismatch: { status: 400, retry: false, message: 'the client uses another object format than the repository' },
  bad_request: { status: 400, retry: false, message: 'the request does not have the documented form' },
  not_found: { status: 404, retry: false, message: 'no such resource' },
  method_not_allowed: { status: 405, retry: false, message: 'this method is not allowed here' },
  bad_repository_name: { status: 400, retry: false, message: 'not a valid repository name' },
  repository_not_found: { status: 404, retry: false, message: 'no such repository' },
  job_not_found: { status: 404, retry: false, message: 'no such repair job' },
  transaction_not_found: { status: 404, retry: false, message: 'no such transaction' },
  node_not_found: { status: 404, retry: false, message: 'no such node' },
  job_finished: { status: 409, retry: false, message: 'the repair job is finished' },
  import_not_found: { status: 404, retry: false, message: 'no such import' },
  import_finished: { status: 409, retry: false, message: 'the import is finished' },
  import_refused: { status: 400, retry: false, message: 'this source can not be imported from' },
  branch_not_found: { status: 409, retry: false, message: 'the repository has no such branch' },
  source_unsuitable: { status: 409, retry: false, message: 'this replica can not be the source' },
  repository_exists: { status: 409, retry: false, message: 'the repository exists already' },
  unauthorized: { status: 401, retry: false, message: 'the cluster token is missing or wrong' },
  // the cluster's condition
  not_enough_nodes: { status: 503, retry: true, message: 'not enough nodes for so many replicas' },
  repository_importing: { status: 503, retry: true, message: 'the repository is still being imported' },
  no_quorum: { status: 503, retry: true, message: 'not enough current replicas to accept a push' },
  no_current_replica: { status: 503, retry: true, message: 'no current replica can be read at the moment' },
  too_busy: { status: 503, retry: true, message: 'too many requests at the moment' },
  store_unavailable: { status: 503, retry: true, message: 'the database does not answer' },
  shutting_down: { status: 503, retry: true, message: 'this server is shutting down' },
  wrong_directory: { status: 409, retry: false, message: 'the data directory belongs to another node' },
  wrong_cluster: { status: 409, retry: false, message: 'the data directory or the database belongs to another cluster' },
  node_id_in_use: { status: 409, retry: false, message: 'another process runs under the name of this node' },
  node_removed: { status: 409, retry: false, message: 'the node was removed from the cluster; an operator may take it back' },
  node_needed: { status: 409, retry: false, message: 'the node can not be removed yet' },
  node_restarted: { status: 409, retry: true, message: 'the node has been started again since' },
  outcome_unknown: { status: 503, retry: false, message: 'it is not known yet whether the push was committed; fetch before you push again' },
  // between controllers and nodes
  node_starting: { status: 503, retry: true, message: 'the node has not finished its restart handshake' },
  node_unreachable: { status: 503, retry: true, message: 'the node does not answer' },
  replica_missing: { status: 404, retry: false, message: 'this node has no replica of the repository' },
  refs_unreadable: { status: 500, retry: false, message: 'the refs of the replica can not be read' },
  replica_behind: { status: 409, retry: true, message: 'the replica is behind the generation asked for' },
  replica_wanted: { status: 409, retry: false, message: 'this copy is a replica, and is not deleted' },
  replica_busy: { status: 409, retry: true, message: 'the replica holds another promise for this repository' },
  replica_ahead: { status: 409, retry: true, message: 'the replica is ahead of the generation asked for' },
  promise_differs: { status: 409, retry: false, message: 'the promise says something else than was decided' },
  unknown_transaction: { status: 404, retry: false, message: 'the node knows no such transaction' },
  phase_timeout: { status: 504, retry: true, message: 'a node did not answer within the deadline of the phase' },
  aborted: { status: 409, retry: true, message: 'the transaction was aborted' },
  import_failed: { status: 502, retry: false, message: 'the source could not be imported' },
  repair_failed: { status: 502, retry: true, message: 'the repair did not end in equal digests' },
  disk_failure: { status: 507, retry: true, message: 'the node could not write to its disk' },
  version_mismatch: { status: 409, retry: false, message: 'the two programs are too far apart in version to work together' },
  controller_name_in_use: { status: 500, retry: false, message: 'another controller of this name is running' },
  schema_newer: { status: 500, retry: false, message: 'the database schema is newer than this program' },
  migration_incomplete: { status: 500, retry: false, message: 'a migration of the database was left half applied' },
  git_failed: { status: 500, retry: false, message: 'git failed' },
  internal: { status: 500, retry: false, message: 'internal error' },
} as const satisfies Record<string, { status: number; retry: boolean; message: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An expected fault: a stable code, a fixed text, and the particulars in `fields`. */
export class TrivetError extends Error {
  readonly code: ErrorCode;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, fields: Record<string, unknown> = {}, options?: { cause?: unknown }) {
    super(ERRORS[code].message, options);
    this.name = 'TrivetError';
    this.code = code;
    this.fields = fields;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retry(): boolean {
    return ERRORS[this.code].retry;
  }

  /** The body of an error response, also between controllers and nodes. */
  toJSON(): { code: ErrorCode; message: string; retry: boolean; fields: Readonly<Record<string, unknown>> } {
    return { code: this.code, message: this.message, retry: this.retry, fields: this.fields };
  }
}

/** `error` itself when it is an expected fault, else `internal` with `error` as its cause. */
export function asTrivetError(error: unknown): TrivetError {
  return error instanceof TrivetError ? error : new TrivetError('internal', {}, { cause: error });
}
