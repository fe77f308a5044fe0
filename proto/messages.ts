import Type, { type Static } from 'typebox';

// Every message between controllers and nodes. Both sides validate what they receive against these schemas. A field that
// isn't known is ignored: during an upgrade the other side may be newer. What mustn't be ignored, or is not optional,
// needs a new version of the protocol (protocol-version.ts).

/** What is said in a URL, whose other parts nobody could mean. */
const closed = { additionalProperties: false };

export const Id = Type.String({ pattern: '^[0-9a-f]{32}$' });
export const OidText = Type.String({ pattern: '^([0-9a-f]{40}|[0-9a-f]{64})$' });
export const DigestText = Type.String({ pattern: '^[0-9a-f]{64}$' });
export const NodeId = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' });
const RefName = Type.String({ minLength: 1, maxLength: 4000 });
const Generation = Type.Integer({ minimum: 0 });
const ObjectFormatText = Type.Union([Type.Literal('sha1'), Type.Literal('sha256')]);

/** Names the repository a request is about; every node route has it in its path. */
export const RepositoryParams = Type.Object({ repository: Id }, closed);

export const CommandMessage = Type.Object({ ref: RefName, old: OidText, new: OidText });

/** What a repository lets a push do to existing refs. */
export const Policy = Type.Object({ denyNonFastForwards: Type.Boolean(), denyDeletes: Type.Boolean() });
export type Policy = Static<typeof Policy>;

// --- vote -----------------------------------------------------------------------------------------------------------
// The body of a vote is a frame: four bytes of length (big endian), that many bytes of VoteHeader as JSON, the pack.

export const VoteHeader = Type.Object({
  transaction: Id,
  commands: Type.Array(CommandMessage),
  /** The branch that HEAD shall point at afterwards. No git client can ask for it. */
  head: Type.Optional(RefName),
  /** Whether either all commands take effect or none. */
  atomic: Type.Boolean(),
  policy: Policy,
  /** The generation SQL holds: a node that is behind waits briefly for the commit in flight before it votes. */
  generation: Generation,
  /** False when every command is a deletion, in which case a client sends no pack. */
  pack: Type.Boolean(),
});
export type VoteHeader = Static<typeof VoteHeader>;

export const VoteAnswer = Type.Object({
  vote: DigestText,
  /** In the order of the commands; behind them, the one on `head`. */
  verdicts: Type.Array(Type.String()),
  /** `ok`, or why the pack could not be taken in. */
  unpack: Type.String(),
});
export type VoteAnswer = Static<typeof VoteAnswer>;

// --- prepare, commit, abort -----------------------------------------------------------------------------------------

export const PrepareRequest = Type.Object({
  batch: Id,
  /** In the order in which they take effect. */
  transactions: Type.Array(Id, { minItems: 1 }),
  /** The generation the replica must be at. */
  generation: Generation,
  /** The controller's process that asks: when its lifeline ends, the promise is in doubt at once. */
  coordinator: Id,
});
export type PrepareRequest = Static<typeof PrepareRequest>;

export const PrepareAnswer = Type.Object({
  before: DigestText,
  after: DigestText,
  /** The generation after the commit: one more for each transaction that moves a ref. */
  generation: Generation,
  /** What HEAD points at after the commit. */
  head: RefName,
  /** For each transaction of the batch, in its order, the verdict for each command. */
  verdicts: Type.Array(Type.Array(Type.String())),
  /** False when no ref would move: then nothing was promised. */
  promised: Type.Boolean(),
});
export type PrepareAnswer = Static<typeof PrepareAnswer>;

/** What a replica really has: the generation it holds and the digest of its refs. */
export const ReplicaPosition = Type.Object({ generation: Generation, digest: DigestText });
export type ReplicaPosition = Static<typeof ReplicaPosition>;

/** `after`: what was decided. A node whose promise says something else undoes it instead, and is not current. */
export const CommitRequest = Type.Object({ batch: Id, after: ReplicaPosition });
export type CommitRequest = Static<typeof CommitRequest>;

/** Undoes a batch's promise (when it is given) and forgets the votes of transactions. */
export const AbortRequest = Type.Object({ batch: Type.Optional(Id), transactions: Type.Array(Id) });
export type AbortRequest = Static<typeof AbortRequest>;

// --- repositories and repair ----------------------------------------------------------------------------------------

export const CreateReplicaRequest = Type.Object({ objectFormat: ObjectFormatText, head: RefName });
export type CreateReplicaRequest = Static<typeof CreateReplicaRequest>;

/** Every ref of a replica at one generation. */
export const RefsSnapshot = Type.Object({
  objectFormat: ObjectFormatText,
  generation: Generation,
  digest: DigestText,
  head: RefName,
  refs: Type.Array(Type.Tuple([RefName, OidText])),
});
export type RefsSnapshot = Static<typeof RefsSnapshot>;

/** How many bytes of a repair may be sent in a second; a header, so that stock git can carry it. */
const BytesPerSecond = Type.Integer({ minimum: 1024 });
const Count = Type.Integer({ minimum: 0 });

export const RepairRequest = Type.Object({
  /** The job this round belongs to: progress is told under it, and what is set aside is named after it. */
  job: Id,
  /** Base URL of the node to take from. */
  source: Type.String({ minLength: 1, maxLength: 500 }),
  objectFormat: ObjectFormatText,
  /** `objects` only brings objects over; `refs` also makes the refs equal to the source's and takes its generation. */
  round: Type.Union([Type.Literal('objects'), Type.Literal('refs')]),
  /**
   * `fetch`: what is missing, by git. `heal`: whole packs that are missing or damaged. `rebuild`: a new repository from
   * the source's packs, beside the old one; the round `refs` swaps the two.
   */
  way: Type.Union([Type.Literal('fetch'), Type.Literal('heal'), Type.Literal('rebuild')]),
  /** What SQL holds. The round `refs` needs it: the source must have exactly this, and the target ends in it. */
  expect: Type.Optional(ReplicaPosition),
  bytesPerSecond: Type.Optional(BytesPerSecond),
});
export type RepairRequest = Static<typeof RepairRequest>;
export type RepairWay = RepairRequest['way'];

/** Where the replica stands after a round, and what the round brought. */
export const RepairAnswer = Type.Object({ generation: Generation, digest: DigestText, objects: Count, bytes: Count });
export type RepairAnswer = Static<typeof RepairAnswer>;

/** How far the round is that runs. A total is null while it isn't known. */
export const RepairProgress = Type.Object({
  job: Id,
  objects: Count,
  totalObjects: Type.Union([Count, Type.Null()]),
  bytes: Count,
  totalBytes: Type.Union([Count, Type.Null()]),
});
export type RepairProgress = Static<typeof RepairProgress>;

export const VerifyRequest = Type.Object({
  /** Also every byte of every pack and index, and every link between objects. */
  full: Type.Boolean(),
});
export type VerifyRequest = Static<typeof VerifyRequest>;

/** What is wrong with a replica on its disk. */
export const ReplicaProblem = Type.Object({
  kind: Type.Union([Type.Literal('diverged'), Type.Literal('corrupt'), Type.Literal('missing')]),
  detail: Type.String(),
});
export type ReplicaProblem = Static<typeof ReplicaProblem>;

export const VerifyAnswer = Type.Object({
  /** As the node has it in memory, and serves it. */
  generation: Generation,
  digest: DigestText,
  /** Computed anew from HEAD, packed-refs and every loose ref; null when they can't be read. */
  diskDigest: Type.Union([DigestText, Type.Null()]),
  problems: Type.Array(ReplicaProblem),
  packs: Count,
  bytes: Count,
  tookMs: Type.Number({ minimum: 0 }),
});
export type VerifyAnswer = Static<typeof VerifyAnswer>;

/** Whether a replica is gone from the disk: one that isn't empty stays, where only an empty one was to go. */
export const ReplicaRemoval = Type.Object({ removed: Type.Boolean() }, closed);
export type ReplicaRemoval = Static<typeof ReplicaRemoval>;

/** Every repository directory on a node's disk. */
export const ReplicaListing = Type.Object({ replicas: Type.Array(Id) });
export type ReplicaListing = Static<typeof ReplicaListing>;

/** The packs of a replica that a repair may copy. */
export const PackListing = Type.Object({
  packs: Type.Array(Type.Object({
    /** Without suffix: `pack-<digits>`. */
    name: Type.String({ pattern: '^pack-[0-9a-f]{40,64}$' }),
    bytes: Count,
    indexBytes: Count,
  })),
  /** Whether there are objects outside packs, which copying packs would miss. */
  loose: Type.Boolean(),
});
export type PackListing = Static<typeof PackListing>;

/** accept-data-loss: the refs a replica has get a generation above all that are known. */
export const AdoptRequest = Type.Object({ generation: Generation, digest: DigestText });
export type AdoptRequest = Static<typeof AdoptRequest>;

/** The promises a node holds. */
export const PromiseListing = Type.Object({
  promises: Type.Array(Type.Object({
    repository: Id, batch: Id, transactions: Type.Array(Id), ageMs: Type.Number({ minimum: 0 }),
  })),
});
export type PromiseListing = Static<typeof PromiseListing>;

// --- imports --------------------------------------------------------------------------------------------------------
// The answer to an import is a frame as a vote's body: its length, ImportHeader as JSON, the pack.

export const ImportRequest = Type.Object({
  source: Type.Union([
    Type.Object({ url: Type.String({ minLength: 1, maxLength: 2000 }) }, closed),
    Type.Object({ directory: Type.String({ minLength: 1, maxLength: 2000 }) }, closed),
  ]),
  objectFormat: ObjectFormatText,
}, closed);
export type ImportRequest = Static<typeof ImportRequest>;

export const ImportHeader = Type.Object({
  /** The branch that HEAD points at; null when there is none. */
  head: Type.Union([RefName, Type.Null()]),
  refs: Type.Array(Type.Tuple([RefName, OidText])),
  objects: Count,
  bytes: Count,
}, closed);
export type ImportHeader = Static<typeof ImportHeader>;

/** How far the fetch is. The total is null while it isn't known. */
export const ImportProgress = Type.Object({ objects: Count, totalObjects: Type.Union([Count, Type.Null()]), bytes: Count }, closed);
export type ImportProgress = Static<typeof ImportProgress>;

// --- node and controller --------------------------------------------------------------------------------------------

export const HandshakeRequest = Type.Object({
  node: NodeId,
  url: Type.String({ minLength: 1, maxLength: 500 }),
  /** New at every start of the node's process. */
  boot: Id,
  /** Whose data directory the node has found itself with: its own, unless somebody swapped disks. */
  directory: Type.Object({ node: NodeId }),
});
export type HandshakeRequest = Static<typeof HandshakeRequest>;

export const ReportRequest = Type.Object({
  node: NodeId,
  boot: Id,
  replicas: Type.Array(Type.Object({ repository: Id, generation: Generation, digest: DigestText })),
});
export type ReportRequest = Static<typeof ReportRequest>;

export const SettleRequest = Type.Object({
  node: NodeId,
  repository: Id,
  batch: Id,
  transactions: Type.Array(Id, { minItems: 1 }),
});
export type SettleRequest = Static<typeof SettleRequest>;

/**
 * The outcome of a batch, which from now on can't be another; of a commit, what it ends in. A node that promised
 * something else than the quorum holds no part of it, whatever the outcome.
 */
export const SettleAnswer = Type.Union([
  Type.Object({ outcome: Type.Literal('commit'), after: ReplicaPosition }),
  Type.Object({ outcome: Type.Literal('abort') }),
]);
export type SettleAnswer = Static<typeof SettleAnswer>;

/** A node asks whether it may work on the files of a replica, goes on asking while it does, and says when it is done. */
export const MaintenanceRequest = Type.Object({
  node: NodeId,
  repository: Id,
  kind: Type.Union([Type.Literal('begin'), Type.Literal('renew'), Type.Literal('end')]),
  /** Whether it can't wait until every other replica can stand in. */
  urgent: Type.Boolean(),
}, closed);
export type MaintenanceRequest = Static<typeof MaintenanceRequest>;

/** A permission ends by itself after `leaseMs`. */
export const MaintenanceAnswer = Type.Union([
  Type.Object({ granted: Type.Literal(true), leaseMs: Type.Integer({ minimum: 1 }) }, closed),
  Type.Object({ granted: Type.Literal(false), reason: Type.String() }, closed),
]);
export type MaintenanceAnswer = Static<typeof MaintenanceAnswer>;

/** A heartbeat: what a node says of itself when a controller asks. */
export const NodeStatus = Type.Object({
  node: NodeId,
  boot: Id,
  /** Whether it serves: reads, repairs, and all else that needs no room on its disk. */
  ready: Type.Boolean(),
  /** Whether it was told to stop, and finishes what it has begun. */
  stopping: Type.Optional(Type.Boolean()),
  /** Whether it can take part in a push as well: its journal takes promises, and its disk has more than the reserve. */
  writable: Type.Boolean(),
  loadAverage: Type.Number(),
  diskFreeBytes: Type.Number(),
  diskTotalBytes: Type.Number(),
  gitProcesses: Type.Integer(),
  replicas: Type.Integer(),
  promises: Type.Integer(),
  /** The repositories whose replica on this node is being maintained: others answer their reads sooner. */
  maintaining: Type.Optional(Type.Array(Id)),
});
export type NodeStatus = Static<typeof NodeStatus>;

/**
 * `GET /lifeline?controller=<id>` stays open for as long as the controller's process lives: it tells a node at once when
 * its coordinators have died, and with what was in their hands.
 */
export const LifelineQuery = Type.Object({ controller: Id }, closed);

/** Request header: the generation that SQL holds, below which a node must not answer a read. */
export const GENERATION_HEADER = 'trivet-generation';
/** Header that carries one id for a client's request through every process it touches. */
export const REQUEST_ID_HEADER = 'trivet-request-id';
/** Request header: no more bytes a second than this are sent. */
export const BYTES_PER_SECOND_HEADER = 'trivet-bytes-per-second';
