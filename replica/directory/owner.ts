import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { Check } from 'typebox/value';
import { Id, NodeId } from '@trivet/proto/messages.ts';
import { readTextIfThere, replaceDurably } from '../repository/durable-file.ts';

const FILE = 'node.json';

/** The cluster is that which the node joined first; one that never joined any, or did before clusters had names, has none. */
const Owner = Type.Object({ node: NodeId, cluster: Type.Optional(Id) });
export type Owner = Static<typeof Owner>;

/** The data directory is another node's, or doesn't say whose. */
export class WrongDirectory extends Error {}

/**
 * Whose directory this is: who started on it first. One without a name, new or from before there were names, becomes `node`'s.
 * @returns the names in it
 * @throws WrongDirectory when there is one that can't be read; nothing was changed
 */
export async function ownerOf(directory: string, node: string): Promise<Owner> {
  const path = join(directory, FILE);
  const text = await readTextIfThere(path);
  if (text === undefined) {
    await write(directory, { node });
    return { node };
  }
  const owner = parse(text);
  if (owner === undefined) throw new WrongDirectory(`${path} does not say whose data directory this is; write {"node":"<name>"} into it if you know`);
  return owner;
}

/** Writes down which cluster the directory belongs to from now on. */
export async function joinCluster(directory: string, owner: Owner, cluster: string): Promise<void> {
  if (owner.cluster !== cluster) await write(directory, { ...owner, cluster });
}

/** What is said to the operator of a node that finds itself on another's disk. */
export function wrongDirectory(directory: string, node: string, owner: string): WrongDirectory {
  return new WrongDirectory(
    `this is ${node}, but the data directory ${directory} belongs to ${owner}; nothing in it was changed. `
    + `Give ${node} its own directory back, or, if ${owner} was renamed, change the name in ${join(directory, FILE)}.`,
  );
}

async function write(directory: string, owner: Owner): Promise<void> {
  await replaceDurably(join(directory, FILE), `${JSON.stringify(owner)}\n`);
}

function parse(text: string): Owner | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Check(Owner, value) ? value : undefined;
  } catch {
    return undefined;
  }
}
